import { LRUCache } from 'lru-cache';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { neighbourhoodOf, networkOf } from '../lib/networks.ts';
import { attemptStore } from './attempt-store.ts';
import type { RowBudget, Windows } from './attempt-store.ts';

/**
 * How often somebody may guess (NIST SP 800-63B-4 §3.2.2, ASVS 6.3.1). Every attempt is counted before it is
 * judged, in PostgreSQL: neither a flood of parallel guesses, nor another replica, nor a restart or the loss
 * of Redis gives one more. Who exists does not matter here, so unknown accounts are limited exactly alike.
 *
 * Failures at one account are free at first, then cost ever longer waits, and in the end the account is
 * closed. A stranger could use that to keep people out of their accounts; so a browser on which the person
 * signed in before has a counter of its own.
 *
 * There is one counter for everything that proves who somebody is: passwords, codes, second factors, on
 * screens and in the API. Whoever judges one calls `begin` first and then one of the outcomes.
 */
export type SignInAttempts = ReturnType<typeof createSignInAttempts>;

export interface SignInLimits {
  /** Failures in a row at one account before the next attempt has to wait. */
  perAccount: number;
  /** Failures in a row that close the account: NIST SP 800-63B-4 §3.2.2 allows no more than a hundred. */
  lockAfter: number;
  /** How long it stays closed unless somebody opens it. */
  lockSeconds: number;
  /** Failures within ten minutes from one address, of IPv6 one /64. Ten times as many from all around it. */
  perNetwork: number;
}

export interface Attempt {
  ok: true;
  /** How many failures in a row it makes if it fails; undefined where nobody counts. */
  inARow: number | undefined;
  succeeded(): Promise<void>;
  /**
   * It was wrong; this is counted already. Tells what follows for the account, and takes as long for one that does
   * not exist.
   * @param actor the visitor
   * @param userId undefined: nobody's account
   */
  failed(actor: Actor, userId: string | undefined): Promise<void>;
  /** It could not be judged. */
  withdraw(): Promise<void>;
}

const FIRST_WAIT_SECONDS = 30;
const LONGEST_WAIT_SECONDS = 3600;
const KEPT_SECONDS = 7 * 86_400;
const WINDOW_SECONDS = 600;
/** Whoever has a whole network, and many have a /48, cannot use the limit of each address in it. */
const AROUND_FACTOR = 10;

/** For refusals that were heard a moment ago, the database is not asked again. */
const REMEMBERED_MS = 5_000;
const MOST_REMEMBERED = 10_000;

/**
 * @param limits undefined: nothing is counted
 * @param onClosed called when an account, or an address that nobody has, has had its last failure, perhaps more
 *   than once
 */
export function createSignInAttempts({
  db,
  limits,
  onClosed,
}: {
  db: Db;
  limits: SignInLimits | undefined;
  onClosed: (actor: Actor, account: { userId: string | undefined; email: string }) => Promise<unknown>;
}) {
  const refused = new LRUCache<string, number>({ max: MOST_REMEMBERED, ttl: REMEMBERED_MS });
  const waitSeconds = limits ? waits(limits) : [];

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
      const windows = where.isKnownBrowser || !where.ip ? undefined : windowsOf(where.ip, limits.perNetwork);
      const [near, around] = windows ?? [];

      const remembered = rememberedWait(tenantId, [row.subject, near?.subject, around?.subject]);
      if (remembered > 0) return { ok: false, retryAfterSeconds: remembered };

      const store = attemptStore(db, tenantId);
      const inARow = await store.take(row, windows);
      if (inARow === undefined) {
        const wait = await store.waits(row, windows);
        remember(tenantId, row.subject, wait.row);
        if (near) remember(tenantId, near.subject, wait.near);
        if (around) remember(tenantId, around.subject, wait.around);
        const longest = Math.max(wait.row, wait.near, wait.around);
        return { ok: false, retryAfterSeconds: Math.max(1, Math.ceil(longest)) };
      }
      return {
        ok: true,
        inARow,
        succeeded: () => store.forget(row, windows),
        failed: (actor, userId) => tellOf(actor, { userId, email: where.email }, inARow, limits),
        withdraw: () => store.giveBack(row, windows),
      };
    },

    /**
     * Lets a person try again at once. Other processes may remember a refusal for a few seconds more.
     * @param trx the transaction of the change itself
     */
    async forget(trx: Db, tenantId: string, email: string): Promise<void> {
      for (const isKnownBrowser of [true, false]) {
        const row = rowOf(email, isKnownBrowser);
        await attemptStore(trx, tenantId).forget(row, undefined);
        refused.delete(keyOf(tenantId, row.subject));
      }
    },
  };

  /** The person can be told; the failures by themselves are in the record of whoever judged them. */
  async function tellOf(
    actor: Actor,
    { userId, email }: { userId: string | undefined; email: string | undefined },
    inARow: number,
    { perAccount, lockAfter }: SignInLimits,
  ): Promise<void> {
    if (email === undefined) return;
    if (inARow >= lockAfter) await onClosed(actor, { userId, email });
    else if (inARow === perAccount) {
      await recordEvent(db, actor, 'auth.suspicious_activity', {
        ...(userId === undefined ? {} : { target: { type: 'user', id: userId } }),
        reason: 'guessing',
        data: { failures_in_a_row: inARow },
      });
    }
  }

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

const NOTHING = Promise.resolve();

const UNCOUNTED: Attempt = {
  ok: true,
  inARow: undefined,
  succeeded: () => NOTHING,
  failed: () => NOTHING,
  withdraw: () => NOTHING,
};

function windowsOf(ip: string, perNetwork: number): Windows {
  const network = networkOf(ip);
  return [
    { subject: `sign-in network ${network}`, limit: perNetwork, windowSeconds: WINDOW_SECONDS },
    {
      subject: `sign-in networks around ${neighbourhoodOf(ip) ?? network}`,
      limit: perNetwork * AROUND_FACTOR,
      windowSeconds: WINDOW_SECONDS,
    },
  ];
}

/** The database knows better which spellings are one; here a miss costs only a question. */
function keyOf(tenantId: string, subject: string): string {
  return `${tenantId} ${subject.toLowerCase()}`;
}

/** After the first failures none, then twice as long each time; after the last one, until the lock ends. */
function waits({ perAccount, lockAfter, lockSeconds }: SignInLimits): number[] {
  return Array.from({ length: lockAfter }, (_, index) => {
    const failures = index + 1;
    if (failures === lockAfter) return lockSeconds;
    if (failures < perAccount) return 0;
    return Math.min(FIRST_WAIT_SECONDS * 2 ** Math.min(failures - perAccount, 20), LONGEST_WAIT_SECONDS);
  });
}
