import { createLocalJWKSet, errors as joseErrors, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from 'jose';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { recordEvent } from '../../events/record-event.ts';
import { revocationList } from '../adapter/revocation-list.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';
import { anonymousActor } from '../../http/request-state.ts';

interface AccessTokenClaims extends JWTPayload {
  jti: string;
  exp: number;
  client_id: string;
  grant_id?: string;
  session_bound?: boolean;
}

/**
 * Introspection (RFC 7662) and revocation (RFC 7009) of JWT access tokens. The engine authenticates the
 * client, then refuses tokens it does not store with `unsupported_token_type`; in place of that refusal
 * the token is verified with the tenant's own keys and looked up in the revocation list.
 */
export function jwtTokensMiddleware(context: TenantContext, jwks: JSONWebKeySet) {
  const { db, tenant, issuer, directory, publishedKeys } = context;
  const ownKeys = createLocalJWKSet(jwks);

  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    await next();
    const { route, client } = ctx.oidc ?? {};
    if (route !== 'introspection' && route !== 'revocation') return;
    if (!client || !isRefusal(ctx.body)) return;

    const claims = await verified(String((ctx.oidc.params as { token?: unknown })['token']));
    ctx.status = 200;
    if (route === 'introspection') ctx.body = await introspect(claims, client.clientId);
    else await revoke(ctx, claims, client.clientId);
  };

  async function introspect(claims: AccessTokenClaims | undefined, clientId: string): Promise<object> {
    const inactive = { active: false };
    if (!claims || !(await mayIntrospect(claims, clientId))) return inactive;
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
  }

  async function mayIntrospect(claims: AccessTokenClaims, clientId: string): Promise<boolean> {
    if (claims.client_id === clientId) return true;
    if (typeof claims.aud !== 'string') return false;
    const resource = await directory.resource(claims.aud);
    return resource?.introspectionClientIds.includes(clientId) === true;
  }

  async function revoke(ctx: KoaContextWithOIDC, claims: AccessTokenClaims | undefined, clientId: string) {
    ctx.body = '';
    if (claims?.client_id !== clientId) return;
    const writer = (await currentUnitOfWork()?.writer()) ?? db;
    if (!(await revocationList(writer, tenant.id).add(claims.jti, claims.exp))) return;
    await recordEvent(
      writer,
      { ...anonymousActor(ctx, tenant.id), type: 'client', id: clientId },
      'token.revoked',
      {
        target: { type: 'token', id: claims.jti },
        data: { client_id: clientId, user_id: claims.sub === clientId ? null : claims.sub },
      },
    );
  }

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

  /** The claims of an access token of this issuer, or undefined for anything else. */
  async function verified(token: string): Promise<AccessTokenClaims | undefined> {
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
}

function isRefusal(body: unknown): boolean {
  return (
    typeof body === 'object' && body !== null && 'error' in body && body.error === 'unsupported_token_type'
  );
}
