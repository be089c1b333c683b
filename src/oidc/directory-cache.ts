import { LRUCache } from 'lru-cache';
import type { Db } from '../db/database.ts';
import { withinWaitBudget, withoutWaitBudget } from '../db/wait-budget.ts';
import { directoryLookups } from '../lib/instruments.ts';
import { guarded } from './adapter/store-errors.ts';
import { currentUnitOfWork } from './adapter/unit-of-work.ts';

/**
 * Rows as requests need them, kept for a few seconds and read once for everybody who asks meanwhile: after
 * a start or a change a crowd of requests wants the same few rows in the same moment.
 */
export interface DirectoryCache<Value> {
  get(key: string): Promise<Value | undefined>;
  /** What was read before, also what is being read at the moment, is given to nobody who asks from now on. */
  clear(): void;
}

/** What is known of a key, or the reading of it that is under way. */
interface Entry<Value> {
  reading: Promise<Value | undefined>;
  isRead: boolean;
  value: Value | undefined;
}

const KEPT_MS = 5_000;
/** What was read in one moment is not read again in one moment. */
const SHORTEST_SHARE = 0.8;
const MOST_ENTRIES = 5_000;

export function createDirectoryCache<Value>({
  kind,
  db,
  load,
  random = Math.random,
  clock = performance,
}: {
  kind: 'client' | 'resource';
  db: Db;
  load: (reader: Db, key: string) => Promise<Value | undefined>;
  random?: () => number;
  clock?: { now: () => number };
}): DirectoryCache<Value> {
  const cache = new LRUCache<string, Entry<Value>>({
    max: MOST_ENTRIES,
    ttl: KEPT_MS,
    ttlResolution: 0,
    perf: clock,
  });
  let generation = 0;

  function keep(key: string, entry: Entry<Value>): void {
    // Counted from before the reading: nothing is given out later than that after it was true.
    cache.set(key, entry, { ttl: KEPT_MS * (SHORTEST_SHARE + (1 - SHORTEST_SHARE) * random()) });
  }

  /** The one reading of this moment. It goes on when those who wait for it give up. */
  function readTogether(key: string): Promise<Value | undefined> {
    const known = cache.get(key);
    if (known) return known.reading;

    const reading = withoutWaitBudget(() => load(db, key));
    const entry: Entry<Value> = { reading, isRead: false, value: undefined };
    keep(key, entry);
    reading.then(
      (value) => {
        entry.value = value;
        entry.isRead = true;
      },
      () => {
        // Whoever asks next may find the database well again.
        if (cache.peek(key) === entry) cache.delete(key);
      },
    );
    return reading;
  }

  /**
   * Within a transaction its own connection is used, and nobody waits for anybody: a request that waits for
   * another's connection while it holds one and its locks could wait for ever.
   */
  async function readAlone(reader: Db, key: string): Promise<Value | undefined> {
    const readIn = generation;
    const value = await load(reader, key);
    // What was read before a change must not outlive it.
    if (readIn === generation && !cache.has(key))
      keep(key, { reading: Promise.resolve(value), isRead: true, value });
    return value;
  }

  return {
    async get(key) {
      const known = cache.get(key);
      const isHit = known?.isRead === true;
      if (directoryLookups.isObserved) directoryLookups.record({ kind, isHit });
      if (isHit) return known.value;
      // PostgreSQL cannot store NUL, and a stranger's request must not look like its failure.
      if (key.includes('\0')) return undefined;

      return guarded(async () => {
        const reader = (await currentUnitOfWork()?.reader()) ?? db;
        if (reader.isTransaction) return readAlone(reader, key);
        return withinWaitBudget(() => readTogether(key));
      });
    },
    clear() {
      generation += 1;
      cache.clear();
    },
  };
}
