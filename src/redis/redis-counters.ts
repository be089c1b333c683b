import { RateLimiterRedis } from 'rate-limiter-flexible';
import type { SharedCounters } from '../http/rate-limiter.ts';
import { sha256 } from '../lib/ids.ts';
import type { Redis } from './redis.ts';
import { sharedKey, tenantKey } from './redis-keys.ts';

const KEPT_SECONDS = 120;

/** Rate counters in Redis, where losing them costs a minute's counting at most. */
export function redisCounters(redis: Redis): SharedCounters {
  const limiter = new RateLimiterRedis({
    storeClient: redis.client,
    // The whole key is given to it, which may be a tenant's.
    keyPrefix: '',
    // It only counts here; the limit is decided where the request is.
    points: Number.MAX_SAFE_INTEGER,
    duration: KEPT_SECONDS,
  });
  return {
    add: (amounts) =>
      redis.attempt(() =>
        Promise.all(
          amounts.map(async ({ tenantId, key, amount }) => {
            // Keys hold addresses, which are nobody's business who looks into Redis.
            const parts = ['rate', sha256(key).toString('base64url')];
            const name = tenantId === undefined ? sharedKey(...parts) : tenantKey(tenantId, ...parts);
            const { consumedPoints } = await limiter.penalty(name, amount);
            return consumedPoints;
          }),
        ),
      ),
  };
}
