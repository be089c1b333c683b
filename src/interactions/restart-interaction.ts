import type { HttpPages } from '../http/pages.ts';
import { requestStateOf } from '../http/request-state.ts';
import type { AppContext } from '../http/request-state.ts';
import { requestLanguageOf } from '../i18n/request-language.ts';
import type { Clock } from '../lib/clock.ts';
import { guarded } from '../oidc/adapter/store-errors.ts';
import type { TenantContext } from '../oidc/provider-deps.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { loginStateStore } from './login-state.ts';
import { hasCookies, initiateLoginUrl, planRestart } from './restart.ts';

interface RestartDeps {
  httpPages: HttpPages;
  now: Clock;
}

/** A sign-in that is gone starts over from its authorization request; a page says so where it cannot. */
export function restartInteraction(ctx: TenantRequestContext, uid: string, deps: RestartDeps): Promise<void> {
  return restartIn(ctx.state.tenantProvider.context, ctx, uid, deps);
}

/** The same for the engine's own requests, which have a context of their own. */
export async function restartIn(
  context: TenantContext,
  ctx: Pick<AppContext, 'req' | 'res' | 'redirect' | 'status' | 'type' | 'body'>,
  uid: string,
  { httpPages, now }: RestartDeps,
): Promise<void> {
  const { db, tenant, sealer, directory, issuer } = context;
  const found = await guarded(() => loginStateStore(db, tenant.id, sealer).findWithAge(uid));
  const restart = planRestart(found, hasCookies(ctx));
  if (restart.kind === 'redirect') {
    ctx.redirect(restart.path);
    ctx.status = 303;
    return;
  }

  const client = found && (await directory.client(found.state.clientId));
  const { initiate_login_uri: signInUri, client_uri: home } = client?.metadata ?? {};
  const atTheApp = typeof signInUri === 'string' ? initiateLoginUrl(signInUri, issuer) : home;
  const startAgain = restart.kind === 'cookies_blocked' ? restart.retryPath : atTheApp;
  ctx.status = 400;
  ctx.type = 'html';
  ctx.body = httpPages.errorPage(requestLanguageOf(ctx), {
    kind: restart.kind === 'expired' ? 'expired' : 'cookies',
    title: null,
    message: null,
    action: typeof startAgain === 'string' ? { href: startAgain } : null,
    reference: requestStateOf(ctx).correlationId,
    at: now(),
    details: [],
  });
}
