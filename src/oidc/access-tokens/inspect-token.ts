import type { TenantProvider } from '../provider-registry.ts';
import type { TokenInspection } from './access-tokens.ts';
import { mayInspect } from './may-inspect.ts';

const INACTIVE = { active: false } as const;

/**
 * What a client may know of an access token, in either format: tokens of the client's own and of the
 * resources it speaks for, and no others.
 */
export async function inspectToken(
  tenantProvider: TenantProvider,
  token: string,
  clientId: string,
): Promise<TokenInspection> {
  const { accessTokens } = tenantProvider;
  if (token.includes('.')) return accessTokens.inspect(await accessTokens.verify(token), clientId);
  const inspection = await inspectOpaqueToken(tenantProvider, token, clientId);
  // A service's token has its client as the subject, as one that is a JWT does (RFC 9068 §2.2).
  if (!inspection.active || 'sub' in inspection) return inspection;
  return { ...inspection, sub: inspection['client_id'] };
}

/** @returns the answer of introspection (RFC 7662 §2.2), member by member that of the engine */
export async function inspectOpaqueToken(
  { provider, context }: TenantProvider,
  id: string,
  clientId: string,
): Promise<TokenInspection> {
  if (id.includes('\0')) return INACTIVE;
  const token = (await provider.AccessToken.find(id)) ?? (await provider.ClientCredentials.find(id));
  if (!token || token.isExpired) return INACTIVE;
  const issuedTo = { clientId: String(token.clientId), aud: token.aud };
  if (!(await mayInspect(context, clientId, issuedTo))) return INACTIVE;

  const isPersons = 'accountId' in token;
  if (isPersons) {
    const grant = await provider.Grant.find(token.grantId, { ignoreExpiration: true });
    if (!grant || grant.isExpired || grant.clientId !== token.clientId) return INACTIVE;
    if (grant.accountId !== token.accountId) return INACTIVE;
  }
  const { aud, exp, extra, iat, jkt, scope, tokenType } = token;
  return {
    active: true,
    ...(isPersons ? { sub: token.accountId } : {}),
    ...extra,
    client_id: issuedTo.clientId,
    exp,
    iat,
    ...(isPersons && token.sid !== undefined ? { sid: token.sid } : {}),
    iss: context.issuer,
    ...(aud === undefined ? {} : { aud }),
    ...(scope ? { scope } : {}),
    ...(jkt === undefined ? {} : { cnf: { jkt } }),
    token_type: tokenType,
  };
}
