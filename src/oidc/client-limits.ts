import { LRUCache } from 'lru-cache';
import { errors, Provider } from 'oidc-provider';
import type { RateLimit, RateLimiter } from '../http/rate-limiter.ts';
import { rateLimitings } from '../lib/instruments.ts';
import { networkOf } from '../lib/networks.ts';

/**
 * How often a client may be named in vain, besides what one network may ask.
 *
 * - `client`: wrong secrets and assertions of one client, from wherever. They are too long to be guessed; this
 *   keeps many networks together from keeping the server busy with one client. Networks from which the client
 *   has authenticated lately are not held back, so that nobody can lock a client out by failing in its name.
 * - `client-network`: refused requests that name a client and prove nothing, as those of public clients and all
 *   authorization requests do. The users of such a client are anywhere, and who fails in its name looks like
 *   one of them, so only their network is held back, and only at this client. One app that fails again and
 *   again leaves the others of its network something of what the network may ask.
 */
export type ClientLimits = ReturnType<typeof createClientLimits>;

class TooManyFailures extends errors.OIDCProviderError {
  constructor() {
    super(429, 'temporarily_unavailable');
    this.expose = true;
    this.allow_redirect = false;
    this.error_description = 'too many requests of this client were refused, try again in a minute';
  }
}

interface Attempt {
  tenantId: string;
  clientId: string;
  ip: string | undefined;
}

const placeOf = ({ clientId, ip }: Attempt): string => `${clientId} ${networkOf(ip ?? '')}`;
const homeOf = (attempt: Attempt): string => `${attempt.tenantId} ${placeOf(attempt)}`;

const KNOWN_MS = 3_600_000;
const MOST_KNOWN = 10_000;

/** @param limits undefined: no limits */
export function createClientLimits({
  limiter,
  limits,
}: {
  limiter: RateLimiter;
  limits: { client: number; clientNetwork: number } | undefined;
}) {
  const known = new LRUCache<string, true>({ max: MOST_KNOWN, ttl: KNOWN_MS });
  const ofClient = { name: 'client', perMinute: limits?.client ?? 0 };
  const ofNetwork = { name: 'client-network', perMinute: limits?.clientNetwork ?? 0 };

  const countsNothing = (attempt: Attempt): boolean => limits === undefined || known.has(homeOf(attempt));

  /** @throws an error of the engine with 429 */
  function enter(limit: RateLimit, who: string): void {
    const { isAllowed, resetSeconds } = limiter.enter(limit, who);
    if (isAllowed) return;
    rateLimitings.record({ limit: limit.name });
    Provider.ctx?.set('Retry-After', String(resetSeconds));
    throw new TooManyFailures();
  }

  /**
   * For a client that is about to prove itself.
   * @returns to be called with what came of it; `neither`: it did not come to the proof
   * @throws an error of the engine with 429
   */
  function enterUnproved(attempt: Attempt): (outcome: 'proved' | 'failed' | 'neither') => void {
    if (countsNothing(attempt)) return () => {};
    const { tenantId, clientId } = attempt;
    const limit = { ...ofClient, tenantId };
    enter(limit, clientId);
    return (outcome) => {
      limiter.leave(limit, clientId, outcome === 'failed');
      if (outcome === 'proved') known.set(homeOf(attempt), true);
    };
  }

  /**
   * For a client that is named and proves nothing.
   * @returns to be called when it is known whether the request was refused
   * @throws an error of the engine with 429
   */
  function enterNamed(attempt: Attempt): (isRefused: boolean) => void {
    if (limits === undefined) return () => {};
    const limit = { ...ofNetwork, tenantId: attempt.tenantId };
    const place = placeOf(attempt);
    enter(limit, place);
    return (isRefused) => limiter.leave(limit, place, isRefused);
  }

  return {
    /** Whether failures to authenticate from there are not counted: there is no limit, or the client is at home there. */
    countsNothing,
    enterUnproved,
    enterNamed,

    /**
     * @returns what `isRight` returned
     * @throws an error of the engine with 429 when too many were wrong, without having compared
     */
    async compare(attempt: Attempt, isRight: () => boolean): Promise<boolean> {
      const leave = enterUnproved(attempt);
      const matches = isRight();
      leave(matches ? 'proved' : 'failed');
      return matches;
    },
  };
}
