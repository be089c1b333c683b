import type { AppContext } from '../http/request-state.ts';
import type { LoginState } from './login-state.ts';

/** Marks a request as started over. The engine ignores parameters it does not know. */
const RESTART_PARAMETER = 'gatehouse_restart';

/** Some cookies may come back, though not the one that matters. */
const MOST_RESTARTS = 3;
/** Restarts further apart than this are no circle: a tab was left open. */
const CIRCLE_SECONDS = 60;

export type Restart =
  | { kind: 'redirect'; path: string }
  | { kind: 'expired' }
  | { kind: 'cookies_blocked'; retryPath: string };

/**
 * A sign-in whose interaction is gone begins again, unless it just did and the browser still sends no
 * cookie back: then it would begin for ever.
 */
export function planRestart(
  found: { state: LoginState; ageSeconds: number } | undefined,
  hasCookies: boolean,
): Restart {
  const { authorizationPath } = found?.state ?? {};
  if (!found || !authorizationPath) return { kind: 'expired' };
  const restarts = found.ageSeconds < CIRCLE_SECONDS ? found.state.restarts : 0;
  if (restarts >= (hasCookies ? MOST_RESTARTS : 1))
    return { kind: 'cookies_blocked', retryPath: authorizationPath };
  return { kind: 'redirect', path: `${authorizationPath}&${RESTART_PARAMETER}=${restarts + 1}` };
}

export function hasCookies(ctx: Pick<AppContext, 'req'>): boolean {
  return ctx.req.headers.cookie !== undefined;
}

export function restartsOf(query: Record<string, unknown>): number {
  const count = Number(query[RESTART_PARAMETER]);
  return Number.isInteger(count) && count > 0 ? Math.min(count, MOST_RESTARTS) : 0;
}

/**
 * Where the app begins a sign-in by itself (OpenID Connect Core §4).
 * @param uri the client's `initiate_login_uri`
 */
export function initiateLoginUrl(uri: string, issuer: string): string {
  const url = new URL(uri);
  url.searchParams.set('iss', issuer);
  return url.href;
}
