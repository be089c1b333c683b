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
  /** Whose counters they are; absent where they are those of the installation. */
  tenantId?: string;
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
  add(amounts: readonly SharedAmount[]): Promise<readonly number[] | undefined>;
}

export interface SharedAmount {
  tenantId?: string | undefined;
  /** Unique, also over all tenants. */
  key: string;
  amount: number;
}

interface Counter {
  key: string;
  tenantId: string | undefined;
  minute: number;
  /** As far as known, over all processes. */
  counted: number;
  /** In this process. */
  own: number;
  underWay: number;
  hasRefused: boolean;
  /** Counts whoever came when the counters were used up. */
  isBucket: boolean;
  /** What each store has been told; absent as long as that is nothing. */
  told?: Map<SharedCounters, Told>;
}

interface Told {
  /** Of `own`. */
  amount: number;
  /** That of all processes, as the store said last. */
  sum: number;
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
  /** The store that counted last. */
  let current: SharedCounters | undefined;

  function counterOf({ name, tenantId }: RateLimit, who: string): Counter {
    const thisMinute = Math.floor(now() / WINDOW_MS);
    if (thisMinute !== minute) {
      // The minutes of the clock, so that all processes mean the same one and old counters go at once.
      minute = thisMinute;
      counters.clear();
      buckets.clear();
    }
    const key = tenantId === undefined ? `${name} ${who}` : `${name} ${tenantId} ${who}`;
    const known = counters.get(key);
    if (known) return known;
    if (counters.size < MOST_COUNTERS) return newCounter(counters, key, { tenantId, isBucket: false });
    const bucket = `${name} ${sha256(`${bucketSecret}${key}`).readUInt32BE() % SHARED_BUCKETS}`;
    return buckets.get(bucket) ?? newCounter(buckets, bucket, { tenantId: undefined, isBucket: true });
  }

  function newCounter(
    among: Map<string, Counter>,
    key: string,
    kind: Pick<Counter, 'tenantId' | 'isBucket'>,
  ): Counter {
    const counter = { key, minute, counted: 0, own: 0, underWay: 0, hasRefused: false, ...kind };
    among.set(key, counter);
    return counter;
  }

  async function share(): Promise<void> {
    const waiting = [...unshared].filter((counter) => counter.minute === minute);
    const batch = waiting.slice(0, MOST_SHARED_AT_ONCE);
    unshared = new Set(waiting.slice(MOST_SHARED_AT_ONCE));
    if (batch.length === 0) return;
    for (const store of stores) {
      if (!(await shareOver(store, batch))) continue;
      if (store !== current) catchUp(store);
      current = store;
      return;
    }
    current = undefined;
  }

  /** What other stores were told before, this one is told as well, also of those who have stopped. */
  function catchUp(store: SharedCounters): void {
    for (const counter of counters.values())
      if (counter.told && (counter.told.get(store)?.amount ?? 0) < counter.own) unshared.add(counter);
  }

  /** Brings a store up to what this process has counted. @returns whether it could count */
  async function shareOver(store: SharedCounters, batch: readonly Counter[]): Promise<boolean> {
    const before = batch.map(({ told }) => told?.get(store) ?? { amount: 0, sum: 0 });
    const amounts = batch.map(({ own }, index) => own - (before[index]?.amount ?? 0));
    const sums = await store
      .add(
        batch.map(({ key, tenantId }, index) => ({
          tenantId,
          key: `${key} ${minute}`,
          amount: amounts[index] ?? 0,
        })),
      )
      .catch((err: unknown) => {
        log.debug({ err }, 'rate counters could not be shared');
        return undefined;
      });

    for (const [index, counter] of batch.entries()) {
      counter.told ??= new Map();
      if (!sums) continue;
      const amount = amounts[index] ?? 0;
      const sum = sums[index] ?? 0;
      const { amount: toldBefore, sum: sumBefore } = before[index] ?? { amount: 0, sum: 0 };
      // Less than it was: the store has forgotten what it was told, and is told again.
      const hasForgotten = sum < sumBefore + amount;
      counter.told.set(store, { amount: hasForgotten ? amount : toldBefore + amount, sum });
      if (hasForgotten && toldBefore > 0) unshared.add(counter);
      counter.counted = Math.max(counter.counted, sum + counter.own - toldBefore - amount);
    }
    return sums !== undefined;
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
      counter.own += 1;
      if (counter.isBucket || stores.length === 0) return;
      if (counter.counted < limit.perMinute * NOTICEABLE) return;
      unshared.add(counter);
      shareSoon();
    },
  };
}
