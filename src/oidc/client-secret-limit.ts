import { LRUCache } from 'lru-cache';
import { errors, Provider } from 'oidc-provider';
import type { RateLimiter } from '../http/rate-limiter.ts';
import { rateLimitings } from '../lib/instruments.ts';
import { networkOf } from '../lib/networks.ts';

/**
 * How often wrong secrets may be tried at one client, from wherever. Secrets are too long to be guessed; this
 * keeps many networks together from keeping the server busy with one client. Networks from which the client
 * has authenticated lately are not held back, so that nobody can lock a client out by failing in its name.
 */
export type ClientSecretLimit = ReturnType<typeof createClientSecretLimit>;

class TooManySecrets extends errors.OIDCProviderError {
  constructor() {
    super(429, 'temporarily_unavailable');
    this.expose = true;
    this.allow_redirect = false;
    this.error_description = 'too many wrong secrets were tried, try again in a minute';
  }
}

interface Attempt {
  tenantId: string;
  clientId: string;
  ip: string | undefined;
}

const clientOf = ({ tenantId, clientId }: Attempt): string => `${tenantId} ${clientId}`;
const placeOf = (attempt: Attempt): string => `${clientOf(attempt)} ${networkOf(attempt.ip ?? '')}`;

const KNOWN_MS = 3_600_000;
const MOST_KNOWN = 10_000;

/** @param perMinute undefined: no limit */
export function createClientSecretLimit({
  limiter,
  perMinute,
}: {
  limiter: RateLimiter;
  perMinute: number | undefined;
}) {
  const known = new LRUCache<string, true>({ max: MOST_KNOWN, ttl: KNOWN_MS });
  const limit = { name: 'client', perMinute: perMinute ?? Number.POSITIVE_INFINITY };

  const countsNothing = (attempt: Attempt): boolean => perMinute === undefined || known.has(placeOf(attempt));

  return {
    /** Whether wrong secrets from there are not counted: there is no limit, or the client is at home there. */
    countsNothing,

    /**
     * @returns what `isRight` returned
     * @throws an error of the engine with 429 when too many were wrong, without having compared
     */
    async compare(attempt: Attempt, isRight: () => boolean): Promise<boolean> {
      if (countsNothing(attempt)) return isRight();

      const client = clientOf(attempt);
      const { isAllowed, resetSeconds } = limiter.enter(limit, client);
      if (!isAllowed) {
        rateLimitings.record({ limit: limit.name });
        Provider.ctx?.set('Retry-After', String(resetSeconds));
        throw new TooManySecrets();
      }
      const matches = isRight();
      limiter.leave(limit, client, !matches);
      if (matches) known.set(placeOf(attempt), true);
      return matches;
    },
  };
}
