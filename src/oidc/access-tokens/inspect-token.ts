import type { TenantProvider } from '../provider-registry.ts';
import type { AccessTokenClaims, TokenInspection } from './access-tokens.ts';

/**
 * What a client may know of an access token, in either format: the answer of introspection (RFC 7662 §2.2),
 * which tells about tokens of the client's own and of the resources it speaks for, and of no others.
 */
export async function inspectToken(
  { provider, accessTokens, context }: TenantProvider,
  token: string,
  clientId: string,
): Promise<TokenInspection> {
  if (token.includes('.')) return accessTokens.inspect(await accessTokens.verify(token), clientId);
  if (token.includes('\0')) return { active: false };

  const stored = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
  if (!stored || stored.isExpired) return { active: false };
  const { aud, exp, extra, iat, scope } = stored;
  const isPersons = 'accountId' in stored;
  const claims: AccessTokenClaims = {
    ...extra,
    iss: context.issuer,
    // The hash is all that is stored, and whoever asks holds the token itself.
    jti: '',
    sub: isPersons ? stored.accountId : String(stored.clientId),
    client_id: String(stored.clientId),
    ...(typeof aud === 'string' ? { aud } : {}),
    ...(scope === undefined ? {} : { scope }),
    ...(typeof iat === 'number' ? { iat } : {}),
    ...(stored.jkt === undefined ? {} : { cnf: { jkt: stored.jkt } }),
    exp: Number(exp),
    ...(isPersons ? { grant_id: stored.grantId } : {}),
  };
  const inspection = await accessTokens.inspect(claims, clientId);
  if (!inspection.active) return inspection;
  const { jti: _jti, ...shown } = inspection;
  return { ...shown, active: true };
}
