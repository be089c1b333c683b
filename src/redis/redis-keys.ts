/**
 * Names of keys and channels. Whatever belongs to a tenant carries the tenant's id, so that no two tenants
 * can meet in one entry; each part is encoded, so that none can pass for two.
 */
const PREFIX = 'gatehouse';

export function tenantKey(tenantId: string, ...parts: readonly string[]): string {
  return join('t', tenantId, ...parts);
}

/** For what concerns the installation as a whole. */
export function sharedKey(...parts: readonly string[]): string {
  return join('s', ...parts);
}

function join(...parts: readonly string[]): string {
  return [PREFIX, ...parts.map(encodeURIComponent)].join(':');
}
