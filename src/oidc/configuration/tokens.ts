import type { Configuration } from 'oidc-provider';
import { roleStore } from '../../access/role-store.ts';
import { guarded } from '../adapter/store-errors.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';
import { sessionLimits } from '../session-limits.ts';

/** Lives of codes, tokens, grants and sessions, and when refresh tokens are issued and replaced. */
export function tokensConfiguration(context: TenantContext) {
  const { db, settings, tenant } = context;
  const { accessTokenTtlSeconds, refreshIdleSeconds, refreshAbsoluteSeconds } = settings;

  return {
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? accessTokenTtlSeconds,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? accessTokenTtlSeconds,
      // RFC 9700 §2.1.1 asks for a short life; ASVS 10.4.3 says a minute.
      AuthorizationCode: 60,
      IdToken: 3600,
      Interaction: 3600,
      Session: sessionLimits(context).idleSeconds,
      // Long enough that a refresh token of the grant's last day reaches its own absolute end.
      Grant: 2 * refreshAbsoluteSeconds,
      RefreshToken: (_ctx, token) =>
        Math.max(1, Math.min(refreshIdleSeconds, refreshAbsoluteSeconds - token.totalLifetime())),
    },
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    // Without offline access a refresh token ends with the session it came from (OpenID Connect Core §11).
    expiresWithSession: (_ctx, source) => !source.scopes.has('offline_access'),
    // One access token revoked by itself leaves its family alone (RFC 7009 §2.1).
    revokeGrantPolicy: (ctx) =>
      !(ctx.oidc.route === 'revocation' && ctx.oidc.entities.AccessToken !== undefined),
    async extraTokenClaims(_ctx, token) {
      if (!('accountId' in token)) return { tenant_id: tenant.id };
      return { tenant_id: tenant.id, roles: await rolesOf(token.accountId) };
    },
    formats: {
      bitsOfOpaqueRandomness: 256,
      customizers: {
        // Lets introspection see that the grant behind a self-contained token, or the session, has ended.
        jwt(_ctx, token, { payload }) {
          if (!('grantId' in token) || !token.grantId) return;
          payload['grant_id'] = token.grantId;
          if (token.expiresWithSession) payload['session_bound'] = true;
        },
      },
    },
  } satisfies Configuration;

  /** As they are now: a refresh brings what changed since the sign-in. */
  async function rolesOf(userId: string): Promise<readonly string[]> {
    const unit = currentUnitOfWork();
    const known = unit?.accounts.get(userId)?.roles;
    return known ?? guarded(async () => roleStore((await unit?.reader()) ?? db, tenant.id).rolesOf(userId));
  }
}
