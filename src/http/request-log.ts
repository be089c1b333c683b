import type { ServerResponse } from 'node:http';
import type { AppContext, AppMiddleware, RequestOrigin } from './request-state.ts';
import { HEALTH_PATHS } from './health.ts';

const MAX_PATH_LENGTH = 256;

/**
 * One line for each request, when its response has left or its client has gone. Never the query (codes,
 * tokens and state live there), headers or bodies.
 */
export function requestLog(): AppMiddleware {
  return (ctx, next) => {
    const { res, state, method, path } = ctx;
    logWhenAnswered(res, state, { method, path, routeOf: () => routeOf(ctx) });
    return next();
  };
}

/**
 * @param request.path without the query
 * @param request.routeOf asked when the response has left: the template of the route that answered, if there is one
 */
export function logWhenAnswered(
  res: ServerResponse,
  state: RequestOrigin,
  request: { method: string; path: string; routeOf: () => string | undefined },
): void {
  const startedAt = performance.now();
  const { method, path } = request;

  res.once('close', () => {
    const { log, ip, userAgent } = state;
    const finished = res.writableFinished;
    const route = request.routeOf();
    log[levelOf(res.statusCode, path, finished)](
      {
        method,
        // The template where one is known: a path can hold an id or a one-time token.
        ...(route === undefined ? { path: path.slice(0, MAX_PATH_LENGTH) } : { route }),
        ...(finished ? { status: res.statusCode } : { aborted: true }),
        durationMs: Math.round((performance.now() - startedAt) * 10) / 10,
        ip,
        userAgent,
      },
      'request',
    );
  });
}

/** The path template of the route that @koa/router chose. */
function routeOf(ctx: AppContext): string | undefined {
  return '_matchedRoute' in ctx && typeof ctx['_matchedRoute'] === 'string'
    ? ctx['_matchedRoute']
    : undefined;
}

function levelOf(status: number, path: string, finished: boolean): 'error' | 'warn' | 'info' | 'debug' {
  if (HEALTH_PATHS.has(path)) return 'debug';
  if (!finished) return 'info';
  if (status >= 500) return 'error';
  // A flood must not fill the log as well; the limit has logged its beginning.
  if (status === 429) return 'debug';
  return status >= 400 ? 'warn' : 'info';
}
