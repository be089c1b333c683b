import type { TenantSettings } from './tenant-settings.ts';

/**
 * A tenant is an isolated issuer: own keys, users, clients and branding. This folder owns the tenants
 * themselves; what belongs to a tenant lives with its feature, in stores bound to the tenant's id.
 */
export interface Tenant {
  id: string;
  slug: string;
  name: string;
  /** Raised with every change that needs a new provider: keys, features, branding. */
  oidcVersion: number;
  /** Raised with every change of what replicas cache: clients, resources. */
  configVersion: number;
  disabledAt: Date | null;
  settings: TenantSettings;
}

/** The tenant at the root of the public URL. */
export const DEFAULT_TENANT_SLUG = 'default';

/**
 * @param publicUrl an origin without a trailing slash; the issuer never comes from a request
 * @returns the issuer identifier (RFC 8414 §2), which is also the prefix of the tenant's endpoints
 */
export function issuerOf(publicUrl: string, tenant: Pick<Tenant, 'slug'>): string {
  return `${publicUrl}${mountPathOf(tenant)}`;
}

/** The path the tenant's endpoints are mounted at: `''` or `/t/<slug>`. */
export function mountPathOf({ slug }: Pick<Tenant, 'slug'>): string {
  return slug === DEFAULT_TENANT_SLUG ? '' : `/t/${slug}`;
}
