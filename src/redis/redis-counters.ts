import { RateLimiterRedis } from 'rate-limiter-flexible';
import type { SharedCounters } from '../http/rate-limiter.ts';
import { sha256 } from '../lib/ids.ts';
import type { Redis } from './redis.ts';
import { sharedKey } from './redis-keys.ts';

const KEPT_SECONDS = 120;

/** Rate counters in Redis, where losing them costs a minute's counting at most. */
export function redisCounters(redis: Redis): SharedCounters {
  const limiter = new RateLimiterRedis({
    storeClient: redis.client,
    keyPrefix: sharedKey('rate'),
    // It only counts here; the limit is decided where the request is.
    points: Number.MAX_SAFE_INTEGER,
    duration: KEPT_SECONDS,
  });
  return {
    add: (amounts) =>
      redis.attempt(() =>
        Promise.all(
          amounts.map(async ({ key, amount }) => {
            // Keys hold addresses, which are nobody's business who looks into Redis.
            const { consumedPoints } = await limiter.penalty(sha256(key).toString('base64url'), amount);
            return consumedPoints;
          }),
        ),
      ),
  };
}
