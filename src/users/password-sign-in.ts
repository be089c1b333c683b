import type { SignInAttempts } from '../attempts/sign-in-attempts.ts';
import { isDatabaseUnavailable } from '../db/database-errors.ts';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { signIns } from '../lib/instruments.ts';
import { parseEmail } from './email-address.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { passwordStore, proofOf } from './password-store.ts';
import type { SignInRecord } from './password-store.ts';
import { keepsAccess } from './user.ts';
import type { User } from './user.ts';

/** For the audit trail and for our own decisions. Whoever tries to sign in sees one text for all of them. */
export type SignInFailure =
  | 'unknown_user'
  | 'no_password'
  | 'wrong_password'
  | 'user_pending'
  | 'user_locked'
  | 'user_disabled';

export type SignInOutcome =
  | {
      ok: true;
      /** As they were when the password was read: whoever acts on it makes sure that `accessVersion` is still the same. */
      user: User;
      /** The password is good for choosing another one alone (`TemporaryPasswords.replace`), with this proof. */
      temporary?: string;
    }
  | { ok: false; reason: SignInFailure }
  /** Too many failures: nothing was judged. */
  | { ok: false; reason: 'throttled'; retryAfterSeconds: number };

interface Credentials {
  email: string;
  password: string;
  /** This account was signed in to on this browser before. */
  isKnownBrowser?: boolean;
}

export type PasswordSignIn = ReturnType<typeof createPasswordSignIn>;

/**
 * Decides whether e-mail address and password belong to a user who may sign in. It records failures; `user.login` is
 * recorded by whoever turns the answer into a session, after all other factors.
 */
export function createPasswordSignIn({
  db,
  now,
  hasher,
  attempts,
}: {
  db: Db;
  now: Clock;
  hasher: PasswordHasher;
  attempts: Pick<SignInAttempts, 'begin'>;
}) {
  /**
   * Every outcome costs one look-up and one hash, so that neither the answer nor its time tells who exists. While the hash
   * waits for its turn the password or the state can change. That is not looked for here, where it could change once more
   * right after: the answer counts for the version of access that was read with the password (docs/adr/0028).
   */
  async function decide(
    tenantId: string,
    email: string | undefined,
    { password, isKnownBrowser = false }: Credentials,
  ): Promise<Decision> {
    const record = email === undefined ? undefined : await passwordStore(db, tenantId).findSignIn(email);
    const matches = await hasher.verify(password, record?.password);
    if (!record) return { failure: 'unknown_user' };
    if (!record.password) return { record, failure: 'no_password' };
    if (!matches) return { record, failure: 'wrong_password' };
    return { record, failure: obstacle(record.user, isKnownBrowser) };
  }

  /** Best effort: the sign-in itself is decided, and the next one tries again. */
  async function rehash({ user, password: old, isTemporary }: SignInRecord, password: string): Promise<void> {
    if (!old || isTemporary || !hasher.needsRehash(old)) return;
    try {
      const fresh = await hasher.hash(password);
      await passwordStore(db, user.tenantId).replace(user.id, old, fresh, now());
    } catch (err) {
      if (!isBusy(err) && !isDatabaseUnavailable(err)) throw err;
    }
  }

  return {
    /**
     * @param actor the anonymous visitor: tenant, address and browser
     * @throws {AppError} `password.busy` (503); any failure of the database, which must not look like a wrong password
     */
    async verify(actor: Actor, credentials: Credentials): Promise<SignInOutcome> {
      const { password, isKnownBrowser = false } = credentials;
      const email = parseEmail(credentials.email);
      const attempt = await attempts.begin(actor.tenantId, { email, ip: actor.ip, isKnownBrowser });
      if (!attempt.ok) {
        signIns.record({ outcome: 'throttled' });
        return { ...attempt, reason: 'throttled' };
      }

      /** Nothing was judged, or right: a database that fails for a moment must not count what people know as guesses. */
      const giveBack = async (err: unknown): Promise<never> => {
        if (isBusy(err)) signIns.record({ outcome: 'busy' });
        // May fail for the same reason, which is the one to tell.
        await attempt.withdraw().catch(() => {});
        throw err;
      };
      const { record, failure } = await decide(actor.tenantId, email, credentials).catch(giveBack);
      signIns.record({ outcome: failure === undefined ? 'success' : 'failure' });
      if (record && failure === undefined) {
        await attempt.succeeded().catch(giveBack);
        await rehash(record, password);
        const { user, isTemporary, password: stored } = record;
        return { ok: true, user, ...(isTemporary && stored ? { temporary: proofOf(stored) } : {}) };
      }

      const reason = failure ?? 'unknown_user';
      await db.transaction((trx) =>
        recordEvent(trx, actor, 'user.login_failed', {
          // What was typed is not recorded: people type their password into the wrong field.
          ...(record ? { target: { type: 'user', id: record.user.id } } : {}),
          reason,
          ...(attempt.inARow === undefined ? {} : { data: { failures_in_a_row: attempt.inARow } }),
        }),
      );
      await attempt.failed(actor, record?.user.id);
      return { ok: false, reason };
    },
  };
}

function isBusy(err: unknown): boolean {
  return err instanceof AppError && err.code === 'password.busy';
}

interface Decision {
  record?: SignInRecord;
  failure?: SignInFailure | undefined;
}

function obstacle(user: User, isKnownBrowser: boolean): SignInFailure | undefined {
  switch (user.status) {
    case 'active':
      return undefined;
    case 'pending':
      return 'user_pending';
    case 'locked':
      // Strangers guessed; on a browser of their own the person is no stranger.
      return isKnownBrowser && keepsAccess(user) ? undefined : 'user_locked';
    case 'disabled':
      return 'user_disabled';
    case 'deleted':
      return 'unknown_user';
  }
}
