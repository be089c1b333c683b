import { newSecret, sha256 } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';

/**
 * Counts floods: requests per minute and whoever makes them. Every process counts in memory, so that a
 * request waits for nothing and an outage of a store changes nothing; those who have used up a noticeable
 * part of a limit are summed up with the other processes twice a second. Guesses at passwords are counted
 * elsewhere, exactly and durably (attempts/).
 */
export type RateLimiter = ReturnType<typeof createRateLimiter>;

export interface RateLimit {
  /** In the response headers, metrics and logs. */
  name: string;
  perMinute: number;
}

export interface RateDecision {
  isAllowed: boolean;
  remaining: number;
  resetSeconds: number;
  /** The first of this minute that was refused. */
  isFirstRefusal: boolean;
}

/** What processes have in common. */
export interface SharedCounters {
  /**
   * Adds to counters that begin at 0 and are forgotten after a few minutes.
   * @returns the sums in the same order; undefined when it cannot count now
   */
  add(amounts: readonly { key: string; amount: number }[]): Promise<readonly number[] | undefined>;
}

interface Counter {
  key: string;
  minute: number;
  /** As far as known, over all processes. */
  counted: number;
  underWay: number;
  unshared: number;
  hasRefused: boolean;
  /** Counts whoever came when the counters were used up. */
  isBucket: boolean;
}

const WINDOW_MS = 60_000;
/** Of a limit: who has used less is nobody that other processes need to know of. */
const NOTICEABLE = 0.05;
const SHARE_EVERY_MS = 500;
const MOST_SHARED_AT_ONCE = 1_000;
/** Bounds the memory. Who comes later in the minute shares a counter with others. */
const MOST_COUNTERS = 50_000;
/**
 * Of each limit. Whoever has more networks than there are counters (an IPv6 /48 has 65,536) gets no more
 * than this many times the limit beyond them. That can hit a newcomer who shares a counter with a flood,
 * until the minute ends: for that, somebody has to fill up all counters and then some of these, which is
 * `SHARED_BUCKETS` times the limit to shut out everybody new (614,400 forms by default), and whoever was
 * there before has a counter of their own. Open limits would be worse, for everybody. Which networks share
 * one is drawn anew by every process, so that nobody can choose whom to meet, and other processes are not
 * told.
 */
const SHARED_BUCKETS = 1_024;

/** @param stores asked one after the other until one can count */
export function createRateLimiter({
  stores,
  log,
  now = Date.now,
}: {
  stores: readonly SharedCounters[];
  log: Logger;
  now?: () => number;
}) {
  const counters = new Map<string, Counter>();
  const buckets = new Map<string, Counter>();
  const bucketSecret = newSecret();
  let minute = 0;
  let unshared = new Set<Counter>();
  let timer: NodeJS.Timeout | undefined;

  function counterOf({ name }: RateLimit, who: string): Counter {
    const current = Math.floor(now() / WINDOW_MS);
    if (current !== minute) {
      // The minutes of the clock, so that all processes mean the same one and old counters go at once.
      minute = current;
      counters.clear();
      buckets.clear();
    }
    const key = `${name} ${who}`;
    const known = counters.get(key);
    if (known) return known;
    if (counters.size < MOST_COUNTERS) return newCounter(counters, key, false);
    const bucket = `${name} ${sha256(`${bucketSecret}${who}`).readUInt32BE() % SHARED_BUCKETS}`;
    return buckets.get(bucket) ?? newCounter(buckets, bucket, true);
  }

  function newCounter(among: Map<string, Counter>, key: string, isBucket: boolean): Counter {
    const counter = { key, minute, counted: 0, underWay: 0, unshared: 0, hasRefused: false, isBucket };
    among.set(key, counter);
    return counter;
  }

  async function share(): Promise<void> {
    const batch = [...unshared].slice(0, MOST_SHARED_AT_ONCE).filter((counter) => counter.minute === minute);
    unshared = new Set([...unshared].slice(MOST_SHARED_AT_ONCE));
    const amounts = batch.map((counter) => counter.unshared);
    for (const counter of batch) counter.unshared = 0;
    const sums = await sumUp(
      batch.map(({ key }, index) => ({ key: `${key} ${minute}`, amount: amounts[index] ?? 0 })),
    );

    for (const [index, counter] of batch.entries()) {
      // Of a store that has forgotten, the sum is too small.
      if (sums) counter.counted = Math.max(counter.counted, (sums[index] ?? 0) + counter.unshared);
      else counter.unshared += amounts[index] ?? 0;
    }
  }

  async function sumUp(amounts: Parameters<SharedCounters['add']>[0]) {
    if (amounts.length === 0) return undefined;
    for (const store of stores) {
      const sums = await store.add(amounts).catch((err: unknown) => {
        log.debug({ err }, 'rate counters could not be shared');
        return undefined;
      });
      if (sums) return sums;
    }
    return undefined;
  }

  function shareSoon(): void {
    timer ??= setTimeout(() => {
      void share().finally(() => {
        timer = undefined;
        if (unshared.size > 0) shareSoon();
      });
    }, SHARE_EVERY_MS).unref();
  }

  return {
    /** Whether `enter` would give a place. */
    hasRoom(limit: RateLimit, who: string): boolean {
      const { counted, underWay } = counterOf(limit, who);
      return counted + underWay < limit.perMinute;
    },

    /**
     * Takes a place, if there is one; give it back with `leave` when it is known what came of it. Places that
     * are taken count, so that no burst is larger than the limit.
     */
    enter(limit: RateLimit, who: string): RateDecision {
      const counter = counterOf(limit, who);
      const used = counter.counted + counter.underWay;
      const resetSeconds = Math.ceil(((minute + 1) * WINDOW_MS - now()) / 1000);
      if (used < limit.perMinute) {
        counter.underWay += 1;
        const remaining = limit.perMinute - used - 1;
        return { isAllowed: true, remaining, resetSeconds, isFirstRefusal: false };
      }
      const isFirstRefusal = !counter.hasRefused;
      counter.hasRefused = true;
      return { isAllowed: false, remaining: 0, resetSeconds, isFirstRefusal };
    },

    /** @param counts whether it was one of those that are limited */
    leave(limit: RateLimit, who: string, counts: boolean): void {
      const counter = counterOf(limit, who);
      counter.underWay = Math.max(0, counter.underWay - 1);
      if (!counts) return;
      counter.counted += 1;
      counter.unshared += 1;
      if (counter.isBucket || stores.length === 0) return;
      if (counter.counted < limit.perMinute * NOTICEABLE) return;
      unshared.add(counter);
      shareSoon();
    },
  };
}
