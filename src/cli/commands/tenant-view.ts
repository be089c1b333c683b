import { issuerOf } from '../../tenants/tenant.ts';
import type { Tenant } from '../../tenants/tenant.ts';

export function tenantJson(tenant: Tenant, publicUrl: string) {
  return {
    id: tenant.id,
    slug: tenant.slug,
    name: tenant.name,
    issuer: issuerOf(publicUrl, tenant),
    status: tenant.disabledAt ? 'disabled' : 'active',
    settings: tenant.settings,
  };
}

/** For people: a line a setting. */
export function tenantText({ settings, ...rest }: ReturnType<typeof tenantJson>) {
  const lines = Object.entries(settings).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return { ...rest, ...Object.fromEntries(lines) };
}
