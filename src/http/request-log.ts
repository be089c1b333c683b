import type { AppContext, AppMiddleware } from './request-state.ts';
import { HEALTH_PATHS } from './health.ts';

const MAX_PATH_LENGTH = 256;

/**
 * One line for each request, when its response has left or its client has gone. Never the query (codes,
 * tokens and state live there), headers or bodies.
 */
export function requestLog(): AppMiddleware {
  return (ctx, next) => {
    const startedAt = performance.now();
    const { method, path } = ctx;

    ctx.res.once('close', () => {
      const { log, ip, userAgent } = ctx.state;
      const finished = ctx.res.writableFinished;
      const route = routeOf(ctx);
      log[levelOf(ctx.res.statusCode, path, finished)](
        {
          method,
          // The template where one is known: a path can hold an id or a one-time token.
          ...(route === undefined ? { path: path.slice(0, MAX_PATH_LENGTH) } : { route }),
          ...(finished ? { status: ctx.res.statusCode } : { aborted: true }),
          durationMs: Math.round((performance.now() - startedAt) * 10) / 10,
          ip,
          userAgent,
        },
        'request',
      );
    });
    return next();
  };
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
