import type { Siblings } from '../tenants/tenant-changes.ts';
import type { Topics } from './messages.ts';

/**
 * Word from one worker to all others of the same primary, which passes it on. Messages carry no state and may
 * be lost: whoever is not told finds out a moment later.
 */
const TOPIC = 'sibling';

type Ask = (topic: string, value: unknown) => Promise<unknown>;

/**
 * The primary's side, for one of the workers.
 * @param others those that are told what this one says
 */
export function passOnToSiblings(others: () => Iterable<{ ask: Ask }>): Topics {
  return {
    [TOPIC](message) {
      for (const { ask } of others()) void ask(TOPIC, message).catch(() => {});
    },
  };
}

/** A worker's side: what it answers the primary, and how it tells the others. */
export function createSiblings(): { topics: Topics; through: (ask: Ask) => Siblings } {
  const listeners: ((message: string) => void)[] = [];
  return {
    topics: {
      [TOPIC](message) {
        if (typeof message === 'string') for (const listener of listeners) listener(message);
      },
    },
    through: (ask) => ({
      tell: (message) => void ask(TOPIC, message).catch(() => {}),
      listen: (listener) => void listeners.push(listener),
    }),
  };
}
