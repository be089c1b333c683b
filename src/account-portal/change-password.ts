import type { Db } from '../db/database.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import type { PasswordSignIn } from '../users/password-sign-in.ts';
import type { UserService } from '../users/user-service.ts';
import type { Portal } from './portal.ts';

export type PasswordChange =
  | { ok: true }
  | { ok: false; reason: 'mismatch' }
  | { ok: false; reason: 'throttled'; retryAfterSeconds: number };

/**
 * Somebody replaces their password by a new one. The old one is checked as at the sign-in, where guesses are
 * counted; the change, its notice and its event commit together. Sessions go on: whether to end the others is
 * the person's to say.
 */
export function createPasswordChange({
  db,
  usersOn,
  signIn,
  enqueueMail,
}: {
  db: Db;
  usersOn: (trx: Db) => Pick<UserService, 'setPassword'>;
  signIn: PasswordSignIn;
  /** Undefined where no mail can be sent. */
  enqueueMail: EnqueueMail | undefined;
}) {
  /** @throws {AppError} `password.unacceptable`, `password.busy` */
  return async (
    { actor, user }: Pick<Portal, 'actor' | 'user'>,
    { current, next, locale }: { current: string; next: string; locale: string },
  ): Promise<PasswordChange> => {
    const visitor = { ...actor, type: 'anonymous' as const, id: undefined };
    const outcome = await signIn.verify(visitor, {
      email: user.email,
      password: current,
      isKnownBrowser: true,
    });
    if (!outcome.ok && outcome.reason === 'throttled') return outcome;
    // The address could have become somebody else's meanwhile.
    if (!outcome.ok || outcome.user.id !== user.id) return { ok: false, reason: 'mismatch' };

    await db.transaction(async (trx) => {
      await usersOn(trx).setPassword(actor, user.id, next, { keepsAccess: true });
      await enqueueMail?.(trx, {
        tenantId: user.tenantId,
        recipient: user.email,
        template: 'password_changed',
        locale,
        data: {},
        isRequested: false,
      });
    });
    return { ok: true };
  };
}
