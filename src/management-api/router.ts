import Router from '@koa/router';
import type { ApiRequestState } from '../http/caller.ts';
import type { SessionService } from '../sessions/session-service.ts';
import { accountRoutes } from '../users/account-routes.ts';
import type { AccountRoutesDeps } from '../users/account-routes.ts';
import { userRoutes } from '../users/user-routes.ts';
import { authAccountRoutes } from './auth/account-routes.ts';
import type { AuthAccountDeps } from './auth/account-routes.ts';
import { ledgerRoutes } from './auth/ledger-routes.ts';
import { registerRoutes } from './auth/register-routes.ts';
import type { RegisterDeps } from './auth/register-routes.ts';
import { recoveryRoutes } from './auth/recovery-routes.ts';
import type { RecoveryDeps } from './auth/recovery-routes.ts';
import { serviceRoutes } from './auth/service-routes.ts';
import { sessionRoutes } from './auth/session-routes.ts';
import type { ApiSessions } from './auth/api-sessions.ts';
import { verificationRoutes } from './auth/verification-routes.ts';
import type { VerificationDeps } from './auth/verification-routes.ts';
import { dashboardRoutes } from './dashboard-routes.ts';

/** What the features' endpoints work with. */
export interface ApiDeps
  extends AccountRoutesDeps,
    AuthAccountDeps,
    RecoveryDeps,
    RegisterDeps,
    VerificationDeps {
  sessions: ApiSessions;
  userSessions: SessionService;
}

/** Every endpoint of the JSON API; a feature brings a router of its own. */
export function apiRouter(deps: ApiDeps): Router<ApiRequestState> {
  const router = new Router<ApiRequestState>({ prefix: '/api/v1' });
  for (const feature of [
    sessionRoutes(deps),
    registerRoutes(deps),
    verificationRoutes(deps),
    recoveryRoutes(deps),
    ledgerRoutes(deps),
    serviceRoutes(deps),
    authAccountRoutes(deps),
  ])
    router.use('/auth', feature.routes());
  // Before the users, whose paths begin with any id.
  for (const feature of [accountRoutes(deps), dashboardRoutes(deps), userRoutes(deps)])
    router.use(feature.routes());
  return router;
}
