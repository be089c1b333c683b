import { defineErrors } from '../lib/errors.ts';
import type { AppError } from '../lib/errors.ts';
import { rateLimitings } from '../lib/instruments.ts';
import { networkOf } from '../lib/networks.ts';
import type { RateDecision, RateLimit, RateLimiter } from './rate-limiter.ts';
import type { AppMiddleware, RequestOrigin } from './request-state.ts';

const fail = defineErrors('http', {
  too_many_requests: {
    status: 429,
    message: 'There were too many requests from your network. Wait a moment, then try again.',
  },
});

/** How the requests of an endpoint are limited. */
export interface EndpointLimit extends RateLimit {
  /**
   * `refused`: what succeeds is free, because whoever calls has credentials and may call as often as it likes;
   * `all`: everything counts.
   */
  counts: 'all' | 'refused';
}

/**
 * Limits how often one network may ask (an IPv4 address, an IPv6 /64). Every limited response tells how much
 * is left (`RateLimit` and `RateLimit-Policy`, draft-ietf-httpapi-ratelimit-headers-10); beyond it the answer
 * is 429 with `Retry-After`, in the form the endpoint's callers expect.
 *
 * @param limitOf undefined for what is not limited
 */
export function rateLimit({
  limiter,
  limitOf,
}: {
  limiter: RateLimiter;
  limitOf: (method: string, path: string) => EndpointLimit | undefined;
}): AppMiddleware {
  return async (ctx, next) => {
    const limit = limitOf(ctx.method, ctx.path);
    if (!limit) return next();
    const network = networkOf(ctx.state.ip);
    const decision = limiter.enter(limit, network);
    const [policyName, policy, leftName, left] = rateLimitHeaders(limit, decision);
    ctx.set(policyName, policy);
    ctx.set(leftName, left);
    if (!decision.isAllowed) {
      rateLimitings.record({ limit: limit.name });
      if (decision.isFirstRefusal) ctx.state.log.warn({ limit: limit.name, network }, 'too many requests');
      throw tooManyRequests(decision.resetSeconds);
    }

    if (limit.counts === 'all') {
      limiter.leave(limit, network, true);
      return next();
    }
    let status: number | undefined;
    try {
      await next();
      status = ctx.res.statusCode;
    } catch (err) {
      status = err instanceof Error && 'status' in err ? Number(err.status) : undefined;
      throw err;
    } finally {
      limiter.leave(limit, network, countsAsRefusal(ctx.state, status));
    }
  };
}

export function tooManyRequests(retryAfterSeconds: number): AppError {
  return fail('too_many_requests', { retryAfterSeconds });
}

/** The headers that tell how much is left, each name before its value. */
export function rateLimitHeaders(
  { name, perMinute }: RateLimit,
  { remaining, resetSeconds }: RateDecision,
): [string, string, string, string] {
  return [
    'RateLimit-Policy',
    `"${name}";q=${perMinute};w=60`,
    'RateLimit',
    `"${name}";r=${remaining};t=${resetSeconds}`,
  ];
}

/**
 * Whether an answer counts where what succeeds is free: it is not for those who prove nothing, and neither is
 * what the protocol itself makes them try again.
 * @param status undefined where there was no answer
 */
export function countsAsRefusal(
  state: Pick<RequestOrigin, 'isRoutineRefusal' | 'provesNothing'>,
  status: number | undefined,
): boolean {
  if (state.provesNothing === true) return status !== undefined && status < 500;
  return isRefusal(state, status);
}

export function isRefusal(
  { isRoutineRefusal }: Pick<RequestOrigin, 'isRoutineRefusal'>,
  status: number | undefined,
): boolean {
  return status !== undefined && status >= 400 && status < 500 && isRoutineRefusal !== true;
}
