import type { Db } from '../db/database.ts';
import type { Actor } from '../http/actor.ts';
import type { Links } from '../one-time-codes/links.ts';
import type { CodeRefusal } from '../one-time-codes/one-time-code.ts';
import type { OneTimeCodes, SendOutcome } from '../one-time-codes/one-time-codes.ts';
import type { User } from '../users/user.ts';
import type { UserService } from '../users/user-service.ts';
import { recoveryError } from './recovery-errors.ts';

/** The proof that a user reads the address of the account. A pending account becomes active by it. */
export type EmailVerification = ReturnType<typeof createEmailVerification>;

export type EmailProof = { ok: true; user: User } | { ok: false; reason: CodeRefusal };

export interface EmailVerificationDeps {
  db: Db;
  codes: OneTimeCodes;
  links: Links;
  usersOn: (db: Db) => Pick<UserService, 'findByEmail' | 'confirmEmail'>;
}

export function createEmailVerification({ db, codes, links, usersOn }: EmailVerificationDeps) {
  return {
    /**
     * Sends a code and link to an address that is still to be verified. The answer and the work are the same for
     * one that is verified, and for one that nobody has.
     * @param request.email as `parseEmail` returns it
     * @param request.binding what only this browser or client holds
     */
    async start(
      actor: Actor,
      { email, binding, locale }: { email: string; binding: string; locale: string },
    ): Promise<SendOutcome> {
      const user = await usersOn(db).findByEmail(actor, email);
      const url = await links.of(actor.tenantId);
      const isDue =
        user?.status === 'pending' || (user?.status === 'active' && user.emailVerifiedAt === null);
      return db.transaction((trx) =>
        codes.send(trx, actor, {
          purpose: 'verify_email',
          template: 'verify_email',
          address: user?.email ?? email,
          userId: user?.id,
          binding,
          locale,
          url,
          context: { locale },
          decoy: isDue ? undefined : 'withheld',
        }),
      );
    },

    /** Judges the code, and verifies the address if it is right; once. */
    async confirm(actor: Actor, { binding, code }: { binding: string; code: string }): Promise<EmailProof> {
      const checked = await codes.check(actor, { purpose: 'verify_email', binding, code });
      if (!checked.ok) return checked;
      const user = await db.transaction(async (trx) => {
        const proved = await codes.consumeProved(trx, actor.tenantId, 'verify_email', binding);
        return proved && verify(trx, actor, proved);
      });
      return user ? { ok: true, user } : { ok: false, reason: 'spent' };
    },

    /** The same by the link of the mail, in whatever browser. @throws {AppError} `recovery.not_proved` (410) */
    async confirmLink(actor: Actor, token: string): Promise<User> {
      return db.transaction(async (trx) => {
        const proved = await codes.consumeLink(trx, actor.tenantId, 'verify_email', token);
        const user = proved && (await verify(trx, actor, proved));
        if (!user) throw recoveryError('not_proved');
        return user;
      });
    },
  };

  async function verify(
    trx: Db,
    actor: Actor,
    { userId, address }: { userId: string | undefined; address: string },
  ): Promise<User | undefined> {
    if (userId === undefined) return undefined;
    const users = usersOn(trx);
    const user = await users.findByEmail(actor, address);
    // Meanwhile the account can have been deleted, or have got another address.
    if (user?.id !== userId || !['pending', 'active'].includes(user.status)) return undefined;
    return users.confirmEmail({ ...actor, type: 'user', id: userId }, userId);
  }
}
