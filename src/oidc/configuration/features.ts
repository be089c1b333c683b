import type {
  AccessToken,
  ClientCredentials,
  Configuration,
  KoaContextWithOIDC,
  RefreshToken,
} from 'oidc-provider';
import type { Client } from 'oidc-provider';
import { mayInspect } from '../access-tokens/may-inspect.ts';
import type { TenantContext } from '../provider-deps.ts';
import { clientAssertions } from './client-assertions.ts';
import { resourceIndicators } from './resources.ts';

export const ROUTES = {
  authorization: '/authorize',
  token: '/token',
  userinfo: '/userinfo',
  jwks: '/jwks',
  introspection: '/introspect',
  revocation: '/revoke',
  pushed_authorization_request: '/par',
  end_session: '/logout',
} as const;

/** Callers have credentials, and many people's requests come from one address of theirs. */
export const AUTHENTICATED_ENDPOINTS: ReadonlySet<string> = new Set([
  ROUTES.token,
  ROUTES.userinfo,
  ROUTES.introspection,
  ROUTES.revocation,
]);

const SIGNING_ALGS = ['RS256', 'ES256', 'EdDSA'] as const;

/** What holds for every tenant and needs nothing but itself. */
export const PROTOCOL = {
  routes: ROUTES,
  responseTypes: ['code'],
  // OAuth 2.1: PKCE for every client; S256 is the only method the engine has.
  pkce: { required: () => true },
  allowOmittingSingleRegisteredRedirectUri: false,
  acceptQueryParamAccessTokens: false,
  clockTolerance: 15,
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  enabledJWA: {
    clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'],
    idTokenSigningAlgValues: [...SIGNING_ALGS],
    userinfoSigningAlgValues: [...SIGNING_ALGS],
    introspectionSigningAlgValues: [...SIGNING_ALGS],
    authorizationSigningAlgValues: [...SIGNING_ALGS],
    // No symmetric ones: secrets are stored as hashes and cannot verify anything.
    requestObjectSigningAlgValues: ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'],
    dPoPSigningAlgValues: ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'],
  },
} satisfies Configuration;

/** Which parts of the protocol are on. */
export function featuresConfiguration(context: TenantContext) {
  const { screens, keyRing, tenant } = context;

  return {
    ...PROTOCOL,
    ...clientAssertions,
    features: {
      devInteractions: { enabled: false },
      externalSigningSupport: { enabled: true, ack: 'experimental-01' },
      claimsParameter: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: {
        enabled: true,
        allowedPolicy: (
          _ctx: KoaContextWithOIDC,
          { clientId }: Client,
          token: AccessToken | ClientCredentials | RefreshToken,
        ) =>
          mayInspect(context, clientId, {
            clientId: String(token.clientId),
            aud: 'aud' in token ? token.aud : undefined,
          }),
      },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx: KoaContextWithOIDC, client: Client, token: { clientId?: string | undefined }) =>
          token.clientId === client.clientId,
      },
      userinfo: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      dPoP: {
        enabled: true,
        nonceSecret: keyRing.derive(`dpop-nonce:${tenant.id}`),
        // RFC 9449 §8: without another credential, a proof made ahead of time must be worth nothing.
        requireNonce: (ctx: KoaContextWithOIDC) => ctx.oidc.client?.clientAuthMethod === 'none',
      },
      resourceIndicators: resourceIndicators(context),
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx: KoaContextWithOIDC) => screens.confirmLogout(context, ctx),
        postLogoutSuccessSource: (ctx: KoaContextWithOIDC) => screens.signedOut(context, ctx),
      },
    },
    // Single-page apps call from the origins they are registered to return to, and from nowhere else. The
    // scheme of a native app has the origin "null", as have pages that anybody can make.
    clientBasedCORS: (_ctx, origin, client) =>
      origin !== 'null' && (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin),
  } satisfies Configuration;
}
