import { issuerOf } from '../../tenants/tenant.ts';
import type { Tenant } from '../../tenants/tenant.ts';

export function tenantJson(tenant: Tenant, publicUrl: string) {
  return {
    id: tenant.id,
    slug: tenant.slug,
    name: tenant.name,
    issuer: issuerOf(publicUrl, tenant),
    status: tenant.disabledAt ? 'disabled' : 'active',
  };
}
