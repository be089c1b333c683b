import type { Configuration } from 'oidc-provider';
import type { TenantContext } from '../provider-deps.ts';

/** Lives of codes, tokens, grants and sessions, and when refresh tokens are issued and replaced. */
export function tokensConfiguration({ settings, tenant }: TenantContext) {
  const { accessTokenTtlSeconds, refreshIdleSeconds, refreshAbsoluteSeconds, sessionIdleSeconds } = settings;

  return {
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? accessTokenTtlSeconds,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? accessTokenTtlSeconds,
      // RFC 9700 §2.1.1 asks for a short life; ASVS 10.4.3 says a minute.
      AuthorizationCode: 60,
      IdToken: 3600,
      Interaction: 3600,
      Session: tenant.settings.sessionIdleSeconds ?? sessionIdleSeconds,
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
    extraTokenClaims: () => ({ tenant_id: tenant.id }),
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
}
