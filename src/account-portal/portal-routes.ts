import Router from '@koa/router';
import type { Db } from '../db/database.ts';
import type { Csrf } from '../http/csrf.ts';
import type { Views } from '../http/views.ts';
import type { Clock } from '../lib/clock.ts';
import { PORTAL_PATH, PORTAL_RETURN_PATH } from '../oidc/extensions/portal-client.ts';
import type { TenantState } from '../oidc/tenant-state.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import type { EmailChange } from '../recovery/email-change.ts';
import type { EmailVerification } from '../recovery/email-verification.ts';
import type { SessionService } from '../sessions/session-service.ts';
import type { PasswordPolicy } from '../users/password-policy.ts';
import type { PasswordSignIn } from '../users/password-sign-in.ts';
import type { UserService } from '../users/user-service.ts';
import type { AccountDeletions } from './account-deletions.ts';
import { activityRoutes } from './activity-routes.ts';
import { appsRoutes } from './apps-routes.ts';
import type { DataExports } from './data-exports.ts';
import { dataRoutes } from './data-routes.ts';
import { devicesRoutes } from './devices-routes.ts';
import { emailRoutes } from './email-routes.ts';
import { homeRoutes } from './home-routes.ts';
import { loadPortal, safeReturnPath } from './portal.ts';
import { seeOther } from '../http/see-other.ts';
import { portalDoors } from './portal-handlers.ts';
import type { PortalDoors } from './portal-handlers.ts';
import { createPortalPages } from './portal-pages.ts';
import type { ShowPage } from './portal-pages.ts';
import { profileRoutes } from './profile-routes.ts';
import { securityRoutes } from './security-routes.ts';

/**
 * `/account`: what people see and change of their own account. Every page works without JavaScript; what is
 * sensitive asks for a proof of identity that is a few minutes old at most.
 */
export interface PortalDeps {
  db: Db;
  now: Clock;
  csrf: Csrf;
  views: Views;
  sessions: SessionService;
  users: UserService;
  usersOn: (trx: Db) => UserService;
  signIn: PasswordSignIn;
  passwordPolicy: PasswordPolicy;
  exports: DataExports;
  deletions: AccountDeletions;
  /** Languages there are texts in. */
  locales: readonly string[];
  /** Undefined where no mail can be sent, as are the other two. */
  emailChange: EmailChange | undefined;
  emailVerification: EmailVerification | undefined;
  enqueueMail: EnqueueMail | undefined;
}

/** What the routes of each section build on. */
export interface SectionDeps extends PortalDeps {
  router: Router<TenantState>;
  doors: PortalDoors;
  show: ShowPage;
}

export function portalRoutes(deps: PortalDeps) {
  const router = new Router<TenantState>({ prefix: PORTAL_PATH });
  const section = {
    ...deps,
    router,
    doors: portalDoors(deps),
    show: createPortalPages(deps),
  };

  // The way back from signing in. Nothing of the answer is used: who is signed in, the session says.
  router.get(PORTAL_RETURN_PATH.slice(PORTAL_PATH.length), async (ctx) => {
    const { mountPath } = ctx.state.tenantProvider.context;
    const basePath = `${mountPath}${PORTAL_PATH}`;
    if (ctx.query['error'] === undefined) return seeOther(ctx, safeReturnPath(basePath, ctx.query['state']));
    // Thought better of it. Whoever is not signed in would only be asked again.
    const isSignedIn = (await loadPortal(ctx, deps.csrf)) !== undefined;
    seeOther(ctx, isSignedIn ? basePath : `${mountPath}/`);
  });

  // Nobody is signed in any more who could see a page of the portal.
  router.get('/deleted', (ctx) => {
    ctx.type = 'html';
    ctx.body = deps.views.render(
      'account/deleted',
      {
        tenant: ctx.state.tenantProvider.tenant.name,
        base: `${ctx.state.tenantProvider.context.mountPath}${PORTAL_PATH}`,
        graceDays: deps.deletions.graceDays,
      },
      ctx.state.language,
    );
  });

  homeRoutes(section);
  profileRoutes(section);
  emailRoutes(section);
  securityRoutes(section);
  devicesRoutes(section);
  appsRoutes(section);
  activityRoutes(section);
  dataRoutes(section);
  return router;
}

/**
 * Where password managers find the page to change a password (W3C, "A Well-Known URL for Changing Passwords").
 * It is one address for an origin, so it leads to the default tenant.
 */
export function changePasswordRoutes() {
  const router = new Router<TenantState>();
  router.get('/.well-known/change-password', (ctx) => {
    ctx.status = 302;
    ctx.redirect(`${ctx.state.tenantProvider.context.mountPath}${PORTAL_PATH}/security/password`);
  });
  return router;
}
