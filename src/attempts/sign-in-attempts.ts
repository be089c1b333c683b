import { LRUCache } from 'lru-cache';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { networkOf } from '../lib/networks.ts';
import { attemptStore } from './attempt-store.ts';
import type { RowBudget, WindowBudget } from './attempt-store.ts';

/**
 * How often somebody may guess (NIST SP 800-63B-4 §3.2.2, ASVS 6.3.1). Every attempt is counted before it is
 * judged, in PostgreSQL: neither a flood of parallel guesses, nor another replica, nor a restart or the loss
 * of Redis gives one more. Who exists does not matter here, so unknown accounts are limited exactly alike.
 *
 * Failures at one account are free at first, then cost ever longer waits. A stranger could use that to keep
 * people out of their accounts; so a browser on which the person signed in before has a counter of its own.
 */
export type SignInAttempts = ReturnType<typeof createSignInAttempts>;

export interface SignInLimits {
  /** Failures in a row at one account before the next attempt has to wait. */
  perAccount: number;
  /** Failures within ten minutes from one network. */
  perNetwork: number;
}

export interface Attempt {
  ok: true;
  /** How many failures in a row it makes if it fails; undefined where nobody counts. */
  inARow: number | undefined;
  succeeded(): Promise<void>;
  /** It could not be judged. */
  withdraw(): Promise<void>;
}

const FIRST_WAIT_SECONDS = 30;
const LONGEST_WAIT_SECONDS = 3600;
/** NIST SP 800-63B-4 §3.2.2: no more than a hundred failures in a row. */
const MOST_FAILURES = 100;
const LOCK_SECONDS = 30 * 86_400;
const KEPT_SECONDS = 7 * 86_400;
const WINDOW_SECONDS = 600;

/** For refusals that were heard a moment ago, the database is not asked again. */
const REMEMBERED_MS = 5_000;
const MOST_REMEMBERED = 10_000;

/** @param limits undefined: nothing is counted */
export function createSignInAttempts({ db, limits }: { db: Db; limits: SignInLimits | undefined }) {
  const refused = new LRUCache<string, number>({ max: MOST_REMEMBERED, ttl: REMEMBERED_MS });
  const waitSeconds = limits ? waits(limits.perAccount) : [];

  const rowOf = (email: string, isKnownBrowser: boolean): RowBudget => ({
    subject: `sign-in ${isKnownBrowser ? 'known' : 'any'} browser, account ${email}`,
    waitSeconds,
    keptSeconds: KEPT_SECONDS,
  });

  return {
    /**
     * To be called before a password is compared, or anything else that proves who somebody is.
     * @param where.email as it was typed, if it can be an address at all
     * @param where.ip undefined: from nowhere that could be counted
     * @param where.isKnownBrowser whether this account was signed in to on this browser before; then the network's
     *   failures do not matter, since they could be anybody's
     * @throws when the database cannot count: then nothing may be judged
     */
    async begin(
      tenantId: string,
      where: { email: string | undefined; ip: string | undefined; isKnownBrowser: boolean },
    ): Promise<Attempt | { ok: false; retryAfterSeconds: number }> {
      if (!limits) return UNCOUNTED;
      const row = rowOf(where.email ?? '', where.isKnownBrowser);
      const window: WindowBudget | undefined =
        where.isKnownBrowser || !where.ip
          ? undefined
          : {
              subject: `sign-in network ${networkOf(where.ip)}`,
              limit: limits.perNetwork,
              windowSeconds: WINDOW_SECONDS,
            };

      const remembered = rememberedWait(tenantId, [row.subject, window?.subject]);
      if (remembered > 0) return { ok: false, retryAfterSeconds: remembered };

      const store = attemptStore(db, tenantId);
      const inARow = await store.take(row, window);
      if (inARow === undefined) {
        const wait = await store.waits(row, window);
        remember(tenantId, row.subject, wait.row);
        if (window) remember(tenantId, window.subject, wait.window);
        return { ok: false, retryAfterSeconds: Math.max(1, Math.ceil(Math.max(wait.row, wait.window))) };
      }
      return {
        ok: true,
        inARow,
        succeeded: () => store.forget(row, window),
        withdraw: () => store.giveBack(row, window),
      };
    },

    /** Lets a person try again at once, for an operator who knows that it is them. */
    async forget(actor: Actor, { id, email }: { id: string; email: string }): Promise<void> {
      await db.transaction(async (trx) => {
        const store = attemptStore(trx, actor.tenantId);
        for (const isKnownBrowser of [true, false])
          await store.forget(rowOf(email, isKnownBrowser), undefined);
        await recordEvent(trx, actor, 'user.unlocked', { target: { type: 'user', id } });
      });
    },
  };

  function remember(tenantId: string, subject: string, waitSecondsLeft: number): void {
    if (waitSecondsLeft > 0) refused.set(keyOf(tenantId, subject), Date.now() + waitSecondsLeft * 1000);
  }

  function rememberedWait(tenantId: string, subjects: readonly (string | undefined)[]): number {
    const until = subjects.map((subject) =>
      subject === undefined ? 0 : (refused.get(keyOf(tenantId, subject)) ?? 0),
    );
    return Math.ceil((Math.max(...until) - Date.now()) / 1000);
  }
}

const UNCOUNTED: Attempt = {
  ok: true,
  inARow: undefined,
  succeeded: async () => {},
  withdraw: async () => {},
};

/** The database knows better which spellings are one; here a miss costs only a question. */
function keyOf(tenantId: string, subject: string): string {
  return `${tenantId} ${subject.toLowerCase()}`;
}

/** After the first failures none, then twice as long each time; after the hundredth, until somebody intervenes. */
function waits(free: number): number[] {
  return Array.from({ length: MOST_FAILURES }, (_, index) => {
    const failures = index + 1;
    if (failures === MOST_FAILURES) return LOCK_SECONDS;
    if (failures < free) return 0;
    return Math.min(FIRST_WAIT_SECONDS * 2 ** Math.min(failures - free, 20), LONGEST_WAIT_SECONDS);
  });
}
