import { createLocalJWKSet, errors as joseErrors, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from 'jose';
import { revocationList } from '../adapter/revocation-list.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';

/**
 * JWT access tokens of this issuer (RFC 9068), verified with the tenant's own keys and looked up in the
 * revocation list: what introspection, revocation and the API ask of them.
 */
export type AccessTokens = ReturnType<typeof createAccessTokens>;

export interface AccessTokenClaims extends JWTPayload {
  jti: string;
  exp: number;
  client_id: string;
  grant_id?: string;
  /** Ends with the session its grant came from. */
  session_bound?: boolean;
  scope?: string;
  roles?: string[];
}

export function createAccessTokens(
  { db, tenant, issuer, directory, publishedKeys }: TenantContext,
  jwks: JSONWebKeySet,
) {
  const ownKeys = createLocalJWKSet(jwks);

  /** A replica that knows a newer key already may have signed it. */
  async function keyOf(...[header, token]: Parameters<JWTVerifyGetKey>) {
    try {
      return await ownKeys(header, token);
    } catch (err) {
      if (!(err instanceof joseErrors.JWKSNoMatchingKey)) throw err;
      const latest = { keys: await publishedKeys() } as JSONWebKeySet;
      return createLocalJWKSet(latest)(header, token);
    }
  }

  /**
   * The claims of an access token of this issuer, or undefined for anything else. Whether it was revoked is
   * another question.
   */
  async function verify(token: string): Promise<AccessTokenClaims | undefined> {
    try {
      const { payload } = await jwtVerify<AccessTokenClaims>(token, keyOf, {
        issuer,
        typ: 'at+jwt',
        algorithms: ['RS256', 'ES256', 'EdDSA', 'Ed25519'],
        requiredClaims: ['jti', 'exp', 'client_id', 'aud'],
      });
      return payload;
    } catch (err) {
      if (err instanceof joseErrors.JOSEError) return undefined;
      throw err;
    }
  }

  /** A token is shown to the client it was issued to, and to those who speak for its audience (RFC 7662 §4). */
  async function mayInspect(claims: AccessTokenClaims, clientId: string): Promise<boolean> {
    if (claims.client_id === clientId) return true;
    if (typeof claims.aud !== 'string') return false;
    const resource = await directory.resource(claims.aud);
    return resource?.introspectionClientIds.includes(clientId) === true;
  }

  return {
    verify,

    /** @returns what introspection tells this client of the token (RFC 7662 §2.2) */
    async inspect(claims: AccessTokenClaims | undefined, clientId: string): Promise<TokenInspection> {
      const inactive = { active: false } as const;
      if (!claims || !(await mayInspect(claims, clientId))) return inactive;
      // The client it was issued to is gone or disabled: so is its access.
      if (!(await directory.client(claims.client_id))) return inactive;
      const reader = (await currentUnitOfWork()?.reader()) ?? db;
      const isHonoured = await revocationList(reader, tenant.id).isHonoured(claims.jti, {
        grantId: claims.grant_id,
        ...(claims.session_bound === true ? { inSessionOf: claims.client_id } : {}),
      });
      if (!isHonoured) return inactive;

      const { grant_id: _grantId, session_bound: _sessionBound, cnf, ...shown } = claims;
      const bound = typeof cnf === 'object' && cnf !== null && 'jkt' in cnf;
      return { active: true, ...shown, ...(cnf ? { cnf } : {}), token_type: bound ? 'DPoP' : 'Bearer' };
    },
  };
}

export type TokenInspection = { active: false } | ({ active: true } & Record<string, unknown>);
