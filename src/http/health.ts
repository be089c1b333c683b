import type { AppMiddleware } from './request-state.ts';

/**
 * Probes. `/livez` says that the process answers and depends on nothing else, so that an outage of the
 * database restarts no replica; `/readyz` says whether to send requests here; `/health` is for people.
 *
 * They are not limited, or a stranger could make an orchestrator believe that a replica is ill. What anybody
 * can make the database do with them is one round of checks at a time, and no two within `KEPT_MS`.
 */

export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/health', '/healthz']);

export interface HealthOptions {
  /** By name; a check fails by throwing. Names are public, errors go to the log only. */
  checks: Readonly<Record<string, () => Promise<unknown>>>;
  /** True from the moment the server wants no new requests. */
  isDraining: () => boolean;
  version: string;
  checkTimeoutMs?: number;
  /** In milliseconds, from whenever. */
  clock?: () => number;
}

const KEPT_MS = 250;

type Outcome = 'ok' | 'failed';

export function health(options: HealthOptions): AppMiddleware {
  const { isDraining, version, clock = () => performance.now() } = options;
  const runChecks = coalesce(() => outcomes(options), clock);

  return async (ctx, next) => {
    if (!HEALTH_PATHS.has(ctx.path) || !['GET', 'HEAD'].includes(ctx.method)) return next();
    ctx.set('Cache-Control', 'no-store');
    if (ctx.path === '/livez') {
      ctx.body = { status: 'ok' };
      return;
    }

    const draining = isDraining();
    const results = draining ? {} : await runChecks();
    const checks: Record<string, Outcome> = {};
    for (const [name, err] of Object.entries(results)) {
      checks[name] = err === undefined ? 'ok' : 'failed';
      if (err !== undefined) ctx.state.log.warn({ check: name, err }, 'health check failed');
    }

    const ready = !draining && Object.values(checks).every((outcome) => outcome === 'ok');
    ctx.status = ready ? 200 : 503;
    const status = draining ? 'draining' : ready ? 'ok' : 'unavailable';
    ctx.body = ctx.path === '/readyz' ? { status, checks } : { status, version, checks };
  };
}

/** The errors of the checks by name, undefined for those that passed. */
async function outcomes({ checks, checkTimeoutMs = 1000 }: HealthOptions): Promise<Record<string, unknown>> {
  const entries = Object.entries(checks).map(async ([name, check]): Promise<[string, unknown]> => {
    try {
      await withTimeout(check(), checkTimeoutMs);
      return [name, undefined];
    } catch (err) {
      return [name, err ?? new Error('failed without an error')];
    }
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function withTimeout(work: Promise<unknown>, timeoutMs: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Probes that come while the checks run, or just after, share their result, so that probing cannot load the database. */
function coalesce<Result>(work: () => Promise<Result>, clock: () => number): () => Promise<Result> {
  let latest: Promise<Result> | undefined;
  let isRunning = false;
  let endedAt = 0;
  return () => {
    if (latest && (isRunning || clock() - endedAt < KEPT_MS)) return latest;
    isRunning = true;
    latest = work().finally(() => {
      isRunning = false;
      endedAt = clock();
    });
    return latest;
  };
}
