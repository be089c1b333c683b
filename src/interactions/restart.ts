import type { AppContext } from '../http/request-state.ts';
import type { LoginState } from './login-state.ts';

/** Marks a request as started over. The engine ignores parameters it does not know. */
export const RESTART_PARAMETER = 'gatehouse_restart';

const MOST_RESTARTS = 3;

export type Restart = { kind: 'redirect'; path: string } | { kind: 'expired' } | { kind: 'cookies_blocked' };

/**
 * A sign-in whose interaction is gone begins again, unless it just did and the browser still sends no
 * cookie back: then it would begin for ever.
 */
export function planRestart(state: LoginState | undefined, hasCookies: boolean): Restart {
  if (!state?.authorizationPath) return { kind: 'expired' };
  if (state.restarts > 0 && !hasCookies) return { kind: 'cookies_blocked' };
  if (state.restarts >= MOST_RESTARTS) return { kind: 'expired' };
  return { kind: 'redirect', path: `${state.authorizationPath}&${RESTART_PARAMETER}=${state.restarts + 1}` };
}

export function hasCookies(ctx: Pick<AppContext, 'req'>): boolean {
  return ctx.req.headers.cookie !== undefined;
}

export function restartsOf(query: Record<string, unknown>): number {
  const count = Number(query[RESTART_PARAMETER]);
  return Number.isInteger(count) && count > 0 ? Math.min(count, MOST_RESTARTS) : 0;
}
