import type { TenantRequestContext } from '../oidc/tenant-state.ts';

/**
 * What a form did, as the address it led to says: `?done=password`. Only one of those that the page knows.
 * @returns null for anything else
 */
export function doneOf<Name extends string>(
  { query }: TenantRequestContext,
  names: readonly Name[],
): Name | null {
  return names.find((name) => name === query['done']) ?? null;
}
