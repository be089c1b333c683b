import type { KoaContextWithOIDC } from 'oidc-provider';
import { recordEvent } from '../../events/record-event.ts';
import { anonymousActor } from '../../http/request-state.ts';
import type { AccessTokenClaims, AccessTokens } from '../access-tokens/access-tokens.ts';
import { revocationList } from '../adapter/revocation-list.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';

/**
 * Introspection (RFC 7662) and revocation (RFC 7009) of JWT access tokens. The engine authenticates the
 * client, then refuses tokens it does not store with `unsupported_token_type`; in place of that refusal
 * the token is verified with the tenant's own keys and looked up in the revocation list.
 */
export function jwtTokensMiddleware({ db, tenant }: TenantContext, accessTokens: AccessTokens) {
  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    await next();
    const { route, client } = ctx.oidc ?? {};
    if (route !== 'introspection' && route !== 'revocation') return;
    if (!client || !isRefusal(ctx.body)) return;

    const claims = await accessTokens.verify(String((ctx.oidc.params as { token?: unknown })['token']));
    ctx.status = 200;
    if (route === 'introspection') ctx.body = await accessTokens.inspect(claims, client.clientId);
    else await revoke(ctx, claims, client.clientId);
  };

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
}

function isRefusal(body: unknown): boolean {
  return (
    typeof body === 'object' && body !== null && 'error' in body && body.error === 'unsupported_token_type'
  );
}
