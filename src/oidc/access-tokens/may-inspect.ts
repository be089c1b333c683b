import type { TenantContext } from '../provider-deps.ts';

/**
 * Whether a client may know of a token: one that was issued to it, or that is meant for a resource it speaks
 * for (RFC 7662 §4).
 * @param token.aud absent of a refresh token, which only its own client may know of
 */
export async function mayInspect(
  { directory }: Pick<TenantContext, 'directory'>,
  clientId: string,
  token: { clientId: string; aud: unknown },
): Promise<boolean> {
  if (token.clientId === clientId) return true;
  // The client it was issued to is gone or disabled: so is its access. Only grants end by themselves then.
  if (!(await directory.client(token.clientId))) return false;
  if (typeof token.aud !== 'string') return false;
  const resource = await directory.resource(token.aud);
  return resource?.introspectionClientIds.includes(clientId) === true;
}
