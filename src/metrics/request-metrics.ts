import type { AppContext, AppMiddleware } from '../http/request-state.ts';
import type { Metrics } from './metrics.ts';

/**
 * Measures every request by the template of its route, so that the number of time series stays small
 * whatever is asked for.
 *
 * @param routeOf of a request that was answered; undefined for what no route took
 */
export function requestMetrics(
  { requests, inFlight }: Pick<Metrics, 'requests' | 'inFlight'>,
  routeOf: (ctx: AppContext) => string | undefined,
): AppMiddleware {
  return (ctx, next) => {
    const startedAt = performance.now();
    inFlight.inc();
    ctx.res.once('close', () => {
      inFlight.dec();
      const labels = {
        method: METHODS.has(ctx.method) ? ctx.method : 'other',
        route: routeOf(ctx) ?? 'other',
        outcome: outcomeOf(ctx.res),
      };
      requests.observe(labels, (performance.now() - startedAt) / 1000);
    });
    return next();
  };
}

/** Anybody can send any other. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function outcomeOf({ statusCode, writableFinished }: AppContext['res']): string {
  if (!writableFinished) return 'aborted';
  if (statusCode === 429) return 'throttled';
  if (statusCode >= 500) return 'failed';
  return statusCode >= 400 ? 'refused' : 'success';
}
