import type { IncomingMessage, ServerResponse } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';
import { changePasswordRoutes, portalRoutes } from './account-portal/portal-routes.ts';
import type { Db } from './db/database.ts';
import { migrationStatus } from './db/migrator.ts';
import { checkClock } from './db/clock-check.ts';
import { databaseCounters } from './db/rate-counters.ts';
import { isDatabaseUnavailable } from './db/database-errors.ts';
import { withWaitBudget } from './db/wait-budget.ts';
import type { Config } from './config.ts';
import { createCookieSigner } from './http/cookie-signer.ts';
import { correlationId } from './http/correlation-id.ts';
import { createAssets } from './http/assets.ts';
import { createCsrf } from './http/csrf.ts';
import { createHttpPages } from './http/pages.ts';
import { createClientAddresses, createPinOrigin } from './http/pin-origin.ts';
import { createViews } from './http/views.ts';
import { errorHandler } from './http/error-handler.ts';
import { health, HEALTH_PATHS } from './http/health.ts';
import { inBatches } from './http/in-batches.ts';
import { localeRoutes } from './http/locale-routes.ts';
import { createPageCursors } from './http/page-cursors.ts';
import { rateLimit } from './http/rate-limit.ts';
import { createRateLimiter } from './http/rate-limiter.ts';
import type { SharedCounters } from './http/rate-limiter.ts';
import type { AppContext, RequestState } from './http/request-state.ts';
import { requestLog } from './http/request-log.ts';
import { checkRequestTarget } from './http/request-target.ts';
import { createSecurityHeaders, securityHeaders } from './http/security-headers.ts';
import { createLanguageGiver, fixedLanguage, requestLanguage } from './i18n/request-language.ts';
import { SOURCE_LOCALE } from './i18n/translations.ts';
import { createLinkPages } from './interactions/link-pages.ts';
import { linkRoutes } from './interactions/link-routes.ts';
import { createMailedPages } from './interactions/mailed-pages.ts';
import { createInteractionPages } from './interactions/pages.ts';
import { createScreens } from './interactions/screens.ts';
import { interactionRoutes } from './interactions/interaction-routes.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import { createSafeFetch } from './lib/safe-fetch.ts';
import { inboxRoutes } from './notifications/inbox-routes.ts';
import { createInbox } from './notifications/inbox-store.ts';
import { apiDocs } from './management-api/api-docs.ts';
import { noFactorDue } from './management-api/auth/mfa-challenge.ts';
import { createApiSessions } from './management-api/auth/api-sessions.ts';
import { managementApi } from './management-api/management-api.ts';
import type { Metrics } from './metrics/metrics.ts';
import { measureRoute, requestMetrics } from './metrics/request-metrics.ts';
import { StoreUnavailable } from './oidc/adapter/store-errors.ts';
import { cookieKeys } from './oidc/configuration/cookies.ts';
import { createDocumentServer } from './oidc/document-server.ts';
import { createEndpointServer } from './oidc/endpoint-server.ts';
import { createClientLimits } from './oidc/client-limits.ts';
import { isProtocolPath, protocolRouteOf, protocolRoutes } from './oidc/protocol-routes.ts';
import { createProviderRegistry } from './oidc/provider-registry.ts';
import { requestLimits } from './oidc/request-limits.ts';
import { resolveTenant } from './oidc/tenant-state.ts';
import type { TenantState } from './oidc/tenant-state.ts';
import type { Services } from './services.ts';
import { createSetupPages } from './setup/setup-pages.ts';
import { setupRoutes } from './setup/setup-routes.ts';
import { DEFAULT_TENANT_SLUG } from './tenants/tenant.ts';
import { tenantStore } from './tenants/tenant-store.ts';

/**
 * The HTTP side of the server: which middleware and which router a request meets, in this order. What
 * they work with comes from services.ts; main.ts starts and stops both.
 */
export interface App {
  handler: (req: IncomingMessage, res: ServerResponse) => void;
  registry: ReturnType<typeof createProviderRegistry>;
}

export interface AppOptions {
  config: Config;
  services: Services;
  db: Db;
  now: Clock;
  log: Logger;
  isDraining: () => boolean;
  version: string;
  /** The demo application, in development. */
  demo?: { router: Router } | undefined;
  views: ReturnType<typeof createViews>;
  assets: ReturnType<typeof createAssets>;
  /** Where the counters of several processes meet; without it they meet in the database. */
  sharedCounters?: SharedCounters | undefined;
  metrics?: Metrics | undefined;
}

/** With what else a request does, its answer is there within three seconds whatever the database does. */
export const LONGEST_DATABASE_WAIT_MS = 2_400;

const root = new URL('../views/', import.meta.url).pathname;

export function createPageFiles() {
  const assets = createAssets({ dir: `${root}assets` });
  return { assets, views: createViews({ dir: root, assetUrl: assets.url }) };
}

export function createApp(options: AppOptions): App {
  const { config, services, db, log, now, views, assets } = options;
  const { keyRing, sealer, keys, translations } = services;
  const { publicUrl } = config;

  const pages = createInteractionPages({ views, now });
  const httpPages = createHttpPages({ views });
  const csrf = createCsrf({ key: keyRing.derive('csrf'), publicUrl });
  const limiter = createRateLimiter({
    stores: [...(options.sharedCounters ? [options.sharedCounters] : []), databaseCounters(db)],
    log,
  });
  const registry = createProviderRegistry({
    db,
    sealer,
    keyRing,
    log,
    publicUrl,
    keys,
    settings: config,
    locales: translations.locales,
    screens: createScreens({ pages, httpPages, now }),
    fetch: createSafeFetch({ allow: config.outboundAllow }) as typeof globalThis.fetch,
    clientLimits: createClientLimits({ limiter, limits: config.rateLimits }),
    pollMs: 500,
  });

  const app = new Koa<RequestState>({ proxy: true });
  app.keys = createCookieSigner(cookieKeys({ keyRing }));
  app.on('error', (err: unknown) => log.warn({ err }, 'the connection failed'));

  if (options.metrics) app.use(requestMetrics(options.metrics, routeLabel));
  app.use(correlationId({ log }));
  const giveLanguage = createLanguageGiver(translations);
  app.use(requestLanguage(giveLanguage));
  app.use(requestLog());
  const withinBudget = (work: () => Promise<void>) => withWaitBudget(LONGEST_DATABASE_WAIT_MS, work);
  app.use((_ctx, next) => withinBudget(next));
  const setSecurityHeaders = createSecurityHeaders({ publicUrl });
  app.use(securityHeaders(setSecurityHeaders));
  app.use(
    errorHandler({
      renderErrorPage: (ctx, page) => httpPages.requestErrorPage(ctx.state.language, page),
      isUnavailable: (err) => err instanceof StoreUnavailable || isDatabaseUnavailable(err),
      isOAuthPath: (path) => isProtocolPath(path.replace(/^\/t\/[^/]+/, '')),
      now,
    }),
  );
  app.use(health({ checks: readinessChecks(), isDraining: options.isDraining, version: options.version }));
  if (config.rateLimits) {
    app.use(rateLimit({ limiter, limitOf: requestLimits(config.rateLimits) }));
  } else if (config.production) {
    log.warn('GATEHOUSE_RATE_LIMITS is off: nothing keeps anybody from guessing passwords');
  }
  app.use(checkRequestTarget());
  app.use(protocolRoutes(registry) as Koa.Middleware<RequestState>);
  app.use(assets.middleware);
  app.use(localeRoutes({ translations, publicUrl }).routes());
  if (options.demo) app.use(options.demo.router.routes());

  if (services.mail.hasInbox) {
    const inbox = createInbox({ db, sealer, mail: services.mail });
    const language = fixedLanguage(translations.for(SOURCE_LOCALE));
    app.use(inboxRoutes({ inbox, views, language }).routes() as unknown as Koa.Middleware<RequestState>);
  }

  const setup = setupRoutes({
    setup: services.setup,
    findTenant: (slug) => tenantStore(db).findBySlug(slug),
    csrf,
    pages: createSetupPages({ views }),
    passwordRules: services.passwordPolicy,
    publicUrl,
    demoUrl: options.demo ? `${publicUrl}/demo` : null,
  });
  app.use(setup.routes() as unknown as Koa.Middleware<RequestState>);

  app.use(resolveTenant(registry) as Koa.Middleware<RequestState>);
  const interactions = interactionRoutes({
    csrf,
    pages,
    httpPages,
    signIn: services.passwordSignIn,
    admitSignIn: services.admitSignIn,
    temporaryPasswords: services.temporaryPasswords,
    noticeNewDevice: services.noticeNewDevice,
    usersOn: services.usersOn,
    mailed: services.mail.isAvailable ? { ...services, now } : undefined,
    mailedPages: createMailedPages({ views }),
    passwordRules: services.passwordPolicy,
    now,
  });
  app.use(apiDocs());
  app.use(
    managementApi({
      version: options.version,
      store: { db, sealer, keyRing, now },
      users: services.users,
      preferences: services.preferences,
      activity: services.activity,
      access: services.access,
      userSessions: services.sessions,
      signUp: services.signUp,
      invitations: services.invitations,
      emailVerification: services.emailVerification,
      codes: services.codes,
      passwordReset: services.passwordReset,
      canSendMail: services.mail.isAvailable,
      sessions: createApiSessions({
        passwordSignIn: services.passwordSignIn,
        admitSignIn: services.admitSignIn,
        challengeFor: noFactorDue,
        noticeNewDevice: services.noticeNewDevice,
        now,
      }),
      cursors: createPageCursors(keyRing.derive('page-cursor')),
    }) as Koa.Middleware<RequestState>,
  );
  app.use(interactions.routes() as unknown as Koa.Middleware<RequestState>);
  const portal = portalRoutes({
    db,
    now,
    csrf,
    views,
    sessions: services.sessions,
    users: services.users,
    usersOn: services.usersOn,
    signIn: services.passwordSignIn,
    passwordPolicy: services.passwordPolicy,
    exports: services.dataExports,
    deletions: services.accountDeletions,
    locales: translations.locales,
    emailChange: services.mail.isAvailable ? services.emailChange : undefined,
    emailVerification: services.mail.isAvailable ? services.emailVerification : undefined,
    enqueueMail: services.mail.isAvailable ? services.mail.enqueue : undefined,
  });
  app.use(portal.routes() as unknown as Koa.Middleware<RequestState>);
  app.use(changePasswordRoutes().routes() as unknown as Koa.Middleware<RequestState>);
  if (services.mail.isAvailable) {
    const linkPages = createLinkPages({ views });
    const links = linkRoutes({
      ...services,
      db,
      csrf,
      pages: linkPages,
      passwordRules: services.passwordPolicy,
    });
    app.use(links.routes() as unknown as Koa.Middleware<RequestState>);
  }
  app.use(landing().routes() as unknown as Koa.Middleware<RequestState>);

  /** The template of the route that answered, the same for every tenant. */
  function routeLabel(ctx: AppContext): string | undefined {
    const matched: unknown = Reflect.get(ctx, '_matchedRoute');
    if (typeof matched === 'string') return matched.replace(/^\/t\/:slug(?=\/)/, '');
    if (HEALTH_PATHS.has(ctx.path)) return ctx.path;
    if (ctx.path.startsWith('/assets/')) return '/assets/:file';
    return protocolRouteOf(ctx.path);
  }

  const addressOf = createClientAddresses({
    trustProxy: config.trustProxy,
    // Behind a proxy that is not named, everybody seems to come from one address, and is limited as one.
    onIgnored: () => log.warn('X-Forwarded-For is ignored: TRUST_PROXY does not name who sends it'),
  });
  const pinOrigin = createPinOrigin({ publicUrl, addressOf });
  const { metrics } = options;
  const shortWay = {
    registry,
    addressOf,
    log,
    limiter,
    limitOf: config.rateLimits && requestLimits(config.rateLimits),
    measure: metrics && measureRoute(metrics),
  };
  const serveDocument = createDocumentServer(shortWay);
  const serveEndpoint = createEndpointServer({
    ...shortWay,
    pinOrigin,
    giveLanguage,
    setSecurityHeaders,
    withinBudget,
  });
  const handle = app.callback();
  const handleInBatches = inBatches((req, res) => {
    if (serveEndpoint(req, res)) return;
    pinOrigin(req);
    void handle(req, res);
  });
  return {
    registry,
    handler(req, res) {
      if (!serveDocument(req, res)) handleInBatches(req, res);
    },
  };

  function landing() {
    const router = new Router<TenantState>();
    router.get('/', (ctx) => {
      const { issuer } = ctx.state.tenantProvider.context;
      const { origin, pathname } = new URL(issuer);
      ctx.type = 'html';
      ctx.body = httpPages.landingPage(ctx.state.language, {
        issuer,
        discoveryUrl: `${issuer}/.well-known/openid-configuration`,
        metadataUrl: `${origin}/.well-known/oauth-authorization-server${pathname === '/' ? '' : pathname}`,
        jwksUrl: `${issuer}/jwks`,
        demoUrl: options.demo ? `${publicUrl}/demo` : null,
      });
    });
    return router;
  }

  function readinessChecks() {
    return {
      database: () => db.raw('SELECT 1'),
      clock: () => checkClock({ db, now }),
      migrations: async () => {
        const { pending } = await migrationStatus(db);
        if (pending.length > 0) throw new Error(`${pending.length} migrations are pending`);
      },
      keys: async () => {
        const entry = await registry.get(DEFAULT_TENANT_SLUG);
        if (!entry) throw new Error('there is no default tenant');
      },
    };
  }
}
