/**
 * What can be done over the API, and the scope of the same name that a token needs for it. The names are
 * part of what clients rely on: add, never change.
 */
export const PERMISSIONS = {
  'account:read': 'See your account, its sessions and its activity.',
  'account:write': 'Change your profile, your preferences and your sessions.',
  'users:read': 'See all users.',
  'users:write': 'Add, change, disable, enable and unlock users.',
  'users:delete': 'Delete users.',
  'access:read': 'See the roles and permissions of users, and ask whether they may do something.',
  'activity:write': 'Record what users do.',
  'tokens:validate': 'Check tokens that were issued for the caller.',
} as const satisfies Record<string, string>;

export type Permission = keyof typeof PERMISSIONS;

/** What everybody may do with what is their own. */
const OWN: ReadonlySet<string> = new Set<Permission>(['account:read', 'account:write']);

export function isPermission(name: string): name is Permission {
  return Object.hasOwn(PERMISSIONS, name);
}

export function isOwnPermission(name: string): boolean {
  return OWN.has(name);
}
