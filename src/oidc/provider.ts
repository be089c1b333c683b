import Provider from 'oidc-provider';
import type { JSONWebKeySet } from 'jose';
import { createCookieSigner } from '../http/cookie-signer.ts';
import { publicJwks } from '../keys/public-jwks.ts';
import type { PrivateJwk } from '../keys/signing-key.ts';
import type { AccessTokens } from './access-tokens/access-tokens.ts';
import { createAdapterFactory } from './adapter/adapter-factory.ts';
import { accountsConfiguration } from './configuration/accounts.ts';
import { consentConfiguration } from './configuration/consent.ts';
import { cookieKeys, cookiesConfiguration } from './configuration/cookies.ts';
import { featuresConfiguration } from './configuration/features.ts';
import { interactionsConfiguration } from './configuration/interactions.ts';
import { tokensConfiguration } from './configuration/tokens.ts';
import { EngineSigningKey } from './engine-signing-key.ts';
import { extendClientScopes } from './extensions/client-scopes.ts';
import { extendClients } from './extensions/clients.ts';
import { extendContexts } from './extensions/plain-context.ts';
import { limitedClients } from './extensions/limited-clients.ts';
import { extendReplayDetection } from './extensions/replay-detection.ts';
import { extendSessionIds } from './extensions/session-ids.ts';
import { extendTokenIds } from './extensions/token-ids.ts';
import { demandClientMiddleware } from './middleware/demand-client-middleware.ts';
import { documentsMiddleware } from './middleware/documents-middleware.ts';
import { formTargetMiddleware } from './middleware/form-target-middleware.ts';
import { jwtTokensMiddleware } from './middleware/jwt-tokens-middleware.ts';
import { signedOutMiddleware } from './middleware/signed-out-middleware.ts';
import { staleHintMiddleware } from './middleware/stale-hint-middleware.ts';
import { unitOfWorkMiddleware } from './middleware/unit-of-work-middleware.ts';
import type { TenantContext } from './provider-deps.ts';
import { logProviderEvents } from './provider-events.ts';
import { sessionLimits } from './session-limits.ts';

/**
 * The protocol engine of one tenant at one version of its keys and configuration: pure construction, from
 * the slices in configuration/, what the engine leaves to us in extensions/, and what goes around every
 * request in middleware/. Nothing changes a provider afterwards; a new version is a new provider.
 */
export function buildProvider(
  context: TenantContext,
  keys: readonly PrivateJwk[],
  accessTokens: AccessTokens,
): Provider {
  const limits = sessionLimits(context);
  const provider = new Provider(context.issuer, {
    adapter: createAdapterFactory({
      db: context.db,
      tenantId: context.tenant.id,
      sealer: context.sealer,
      keyRing: context.keyRing,
      refreshGraceSeconds: context.settings.refreshGraceSeconds,
      refreshAbsoluteSeconds: context.settings.refreshAbsoluteSeconds,
      sessionIdleSeconds: limits.idleSeconds,
      sessionAbsoluteSeconds: limits.absoluteSeconds,
    }),
    jwks: { keys: keys.map((key) => new EngineSigningKey(key)) },
    cookies: cookiesConfiguration(context),
    fetch: context.fetch,
    ...featuresConfiguration(context),
    ...tokensConfiguration(context),
    ...accountsConfiguration(context),
    ...consentConfiguration(context),
    ...interactionsConfiguration(context),
  });

  // Ours is the proxy in front of it: the origin is pinned before a request gets here.
  provider.proxy = true;
  provider.keys = createCookieSigner(cookieKeys(context));

  extendTokenIds(provider, context);
  extendSessionIds(provider);
  extendReplayDetection(provider, context);
  extendClients(provider, context);
  extendClientScopes(provider);
  logProviderEvents(provider);

  provider.use(async (ctx, next) => {
    // Tenants other than the default one live under a path that is cut off before the engine routes.
    ctx.mountPath = context.mountPath;
    await next();
  });
  provider.use(documentsMiddleware(context));
  provider.use(unitOfWorkMiddleware(provider, context));
  provider.use(demandClientMiddleware);
  provider.use(formTargetMiddleware);
  provider.use(signedOutMiddleware);
  const published = publicJwks(keys) as JSONWebKeySet;
  provider.use(staleHintMiddleware(context, published));
  provider.use(jwtTokensMiddleware(context, accessTokens));
  extendContexts(provider, limitedClients(context));
  return provider;
}
