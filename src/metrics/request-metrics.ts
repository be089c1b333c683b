import type { ServerResponse } from 'node:http';
import type { AppContext, AppMiddleware } from '../http/request-state.ts';
import type { Metrics } from './metrics.ts';

/**
 * Measures every request by the template of its route, so that the number of time series stays small
 * whatever is asked for.
 *
 * @param routeOf of a request that was answered; undefined for what no route took
 */
export function requestMetrics(
  metrics: RequestMetrics,
  routeOf: (ctx: AppContext) => string | undefined,
): AppMiddleware {
  return (ctx, next) => {
    measureUntilAnswered(metrics, ctx.res, { method: ctx.method, routeOf: () => routeOf(ctx) });
    return next();
  };
}

/** For requests whose route is known from the beginning. */
export function measureRoute(metrics: RequestMetrics) {
  return (res: ServerResponse, method: string, route: string): void =>
    measureUntilAnswered(metrics, res, { method, routeOf: () => route });
}

/** @param request.routeOf asked when the response has left */
function measureUntilAnswered(
  { requests, inFlight }: RequestMetrics,
  res: ServerResponse,
  { method, routeOf }: { method: string; routeOf: () => string | undefined },
): void {
  const startedAt = performance.now();
  inFlight.inc();
  res.once('close', () => {
    inFlight.dec();
    const labels = {
      method: METHODS.has(method) ? method : 'other',
      route: routeOf() ?? 'other',
      outcome: outcomeOf(res),
    };
    requests.observe(labels, (performance.now() - startedAt) / 1000);
  });
}

type RequestMetrics = Pick<Metrics, 'requests' | 'inFlight'>;

/** Anybody can send any other. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function outcomeOf({ statusCode, writableFinished }: ServerResponse): string {
  if (!writableFinished) return 'aborted';
  if (statusCode === 429) return 'throttled';
  if (statusCode >= 500) return 'failed';
  return statusCode >= 400 ? 'refused' : 'success';
}
