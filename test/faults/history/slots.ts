import type { Session } from './browser-operations.ts';
import type { Shape } from './plan.ts';
import type { App, Person, World } from './world.ts';

/** What the clients of a run hold: people in their browsers, and in each slot what an app got for one. */
export interface Browser {
  person: Person;
  /** Undefined until somebody signs in, and from the moment a logout begins. */
  session: Session | undefined;
  /** A sign-in under way, for those who need its session too. */
  signingIn: Promise<void> | undefined;
}

export interface Family {
  code: string;
  session: Session;
  /** Oldest first; the last one is good unless somebody used or revoked it. */
  refresh: string[];
  access: string[];
  idTokens: string[];
}

export interface Slot {
  browser: Browser;
  app: App;
  offline: boolean;
  family: Family | undefined;
  filling: Promise<void> | undefined;
  /** Families that ended, the latest first. */
  ended: Family[];
}

/** Every browser has a slot with each app; every second app is for offline access, so that it has its own grant. */
export function createSlots(world: World, shape: Shape): Slot[] {
  const browsers: Browser[] = Array.from({ length: shape.browsers }, (_, index) => ({
    person: at(world.users, index),
    session: undefined,
    signingIn: undefined,
  }));
  return Array.from({ length: shape.slots }, (_, index) => ({
    browser: at(browsers, index),
    app: at(world.apps, Math.floor(index / shape.browsers)),
    offline: Math.floor(index / shape.browsers) % 2 === 1,
    family: undefined,
    filling: undefined,
    ended: [],
  }));
}

const MOST_ENDED = 4;

export function bury(slot: Slot, family: Family): void {
  if (slot.family !== family) return;
  slot.family = undefined;
  slot.ended = [family, ...slot.ended].slice(0, MOST_ENDED);
}

export function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError('there is nothing to choose from');
  return item;
}
