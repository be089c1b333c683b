import type { Caller } from '../http/caller.ts';
import { ADMINISTRATOR } from './administrators.ts';
import { isOwnPermission, PERMISSIONS } from './permissions.ts';
import type { Permission } from './permissions.ts';

/**
 * The decision: a token does what its scopes say and whoever it stands for may do. Administrators may do
 * everything, everybody what concerns themselves, a service what its registration lists, which its scopes
 * never exceed.
 */
export function can(caller: Pick<Caller, 'type' | 'scopes' | 'roles'>, permission: string): boolean {
  if (!caller.scopes.has(permission)) return false;
  if (caller.type === 'client') return !isOwnPermission(permission);
  return isOwnPermission(permission) || caller.roles.includes(ADMINISTRATOR);
}

/** What somebody with these roles may do, whatever a token narrows it to. */
export function permissionsOf(roles: readonly string[]): Permission[] {
  const all = Object.keys(PERMISSIONS) as Permission[];
  return roles.includes(ADMINISTRATOR) ? all : all.filter(isOwnPermission);
}
