import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { Topics } from './messages.ts';

/** Small texts that all workers see, kept by the primary for as long as it runs: the demo's sessions. */
const MOST_ENTRIES = 1_000;
const KEPT_MS = 8 * 3_600_000;

const entry = z.object({ key: z.string(), text: z.string() });

/** The primary's side. */
export function createSharedMemory(): Topics {
  const memory = new LRUCache<string, string>({ max: MOST_ENTRIES, ttl: KEPT_MS });
  return {
    'memory-get': (key) => memory.get(String(key)),
    'memory-delete': (key) => memory.delete(String(key)),
    'memory-set': (value) => {
      const { key, text } = entry.parse(value);
      memory.set(key, text);
      return true;
    },
  };
}

/** A worker's side. @param ask asks the primary */
export function sharedMemory(ask: (topic: string, value: unknown) => Promise<unknown>) {
  return {
    async get(key: string): Promise<string | undefined> {
      const text = await ask('memory-get', key);
      return typeof text === 'string' ? text : undefined;
    },
    set: async (key: string, text: string): Promise<void> => void (await ask('memory-set', { key, text })),
    delete: async (key: string): Promise<void> => void (await ask('memory-delete', key)),
  };
}
