import type { Db } from '../db/database.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import type { PasswordSignIn } from '../users/password-sign-in.ts';
import type { StoredPassword } from '../users/password-hasher.ts';
import { passwordStore } from '../users/password-store.ts';
import type { UserService } from '../users/user-service.ts';
import { userStore } from '../users/user-store.ts';
import type { Portal } from './portal.ts';

export type PasswordChange =
  | { ok: true }
  | { ok: false; reason: 'mismatch' }
  | { ok: false; reason: 'throttled'; retryAfterSeconds: number };

/**
 * Somebody replaces their password by a new one, or chooses the first. The change, its notice and its event commit
 * together. Sessions go on: whether to end the others is the person's to say.
 */
export function createPasswordChange({
  db,
  usersOn,
  signIn,
  enqueueMail,
}: {
  db: Db;
  usersOn: (trx: Db) => Pick<UserService, 'preparePassword' | 'storePassword'>;
  signIn: PasswordSignIn;
  /** Undefined where no mail can be sent. */
  enqueueMail: EnqueueMail | undefined;
}) {
  return {
    /**
     * The old password is checked as at the sign-in, where guesses are counted.
     * @throws {AppError} `password.unacceptable`, `password.busy`
     */
    async change(
      owner: Owner,
      change: { current: string; next: string; locale: string },
    ): Promise<PasswordChange> {
      const { actor, user } = owner;
      const { current, next, locale } = change;
      const visitor = { ...actor, type: 'anonymous' as const, id: undefined };
      const outcome = await signIn.verify(visitor, {
        email: user.email,
        password: current,
        isKnownBrowser: true,
      });
      if (!outcome.ok && outcome.reason === 'throttled') return outcome;
      // The address could have become somebody else's meanwhile.
      if (!outcome.ok || outcome.user.id !== user.id) return { ok: false, reason: 'mismatch' };

      const { accessVersion } = outcome.user;
      const stored = await usersOn(db).preparePassword(actor, user.id, next);
      const isDone = await db.transaction(async (trx) => {
        const still = await userStore(trx, actor.tenantId).findForUpdate(user.id);
        if (still?.accessVersion !== accessVersion) return false;
        await store(trx, owner, stored, locale);
        return true;
      });
      // Something ended meanwhile, perhaps what the current password is.
      return isDone ? { ok: true } : this.change(owner, change);
    },

    /**
     * For who has none. Whoever calls has had the person prove again who they are, with what they have; it never
     * takes the place of a password, which would have to be known for that.
     * @returns false when there is one
     * @throws {AppError} `password.unacceptable`, `password.busy`
     */
    async chooseFirst(
      { actor, user }: Owner,
      { password, locale }: { password: string; locale: string },
    ): Promise<boolean> {
      const stored = await usersOn(db).preparePassword(actor, user.id, password);
      return db.transaction(async (trx) => {
        // Everybody who sets a password holds this lock.
        await userStore(trx, actor.tenantId).findForUpdate(user.id);
        if (await passwordStore(trx, actor.tenantId).exists(user.id)) return false;
        await store(trx, { actor, user }, stored, locale);
        return true;
      });
    },
  };

  async function store(
    trx: Db,
    { actor, user }: Owner,
    stored: StoredPassword,
    locale: string,
  ): Promise<void> {
    await usersOn(trx).storePassword(actor, user.id, stored, { keepsAccess: true });
    await enqueueMail?.(trx, {
      tenantId: user.tenantId,
      recipient: user.email,
      template: 'password_changed',
      locale,
      data: {},
      isRequested: false,
    });
  }
}

type Owner = Pick<Portal, 'actor' | 'user'>;
