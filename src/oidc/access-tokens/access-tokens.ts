import { createLocalJWKSet, errors as joseErrors, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from 'jose';
import { revocationList } from '../adapter/revocation-list.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';
import { mayInspect } from './may-inspect.ts';

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

export function createAccessTokens(context: TenantContext, jwks: JSONWebKeySet) {
  const { db, tenant, issuer, publishedKeys } = context;
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

  return {
    verify,

    /** @returns what introspection tells this client of the token (RFC 7662 §2.2) */
    async inspect(claims: AccessTokenClaims | undefined, clientId: string): Promise<TokenInspection> {
      const inactive = { active: false } as const;
      if (!claims) return inactive;
      const token = { clientId: claims.client_id, aud: claims.aud };
      if (!(await mayInspect(context, clientId, token))) return inactive;
      const reader = (await currentUnitOfWork()?.reader()) ?? db;
      const isHonoured = await revocationList(reader, tenant.id).isHonoured(claims.jti, {
        grantId: claims.grant_id,
        isSessionBound: claims.session_bound === true,
      });
      if (!isHonoured) return inactive;

      const { grant_id: _grantId, session_bound: _sessionBound, cnf, ...shown } = claims;
      const bound = typeof cnf === 'object' && cnf !== null && 'jkt' in cnf;
      return { active: true, ...shown, ...(cnf ? { cnf } : {}), token_type: bound ? 'DPoP' : 'Bearer' };
    },
  };
}

export type TokenInspection = { active: false } | ({ active: true } & Record<string, unknown>);
