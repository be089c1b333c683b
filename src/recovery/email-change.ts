import type { Db } from '../db/database.ts';
import type { Actor } from '../http/actor.ts';
import type { Links } from '../one-time-codes/links.ts';
import type { OneTimeCodes, SendOutcome } from '../one-time-codes/one-time-codes.ts';
import type { User } from '../users/user.ts';
import type { UserService } from '../users/user-service.ts';
import type { EmailProof } from './email-verification.ts';
import { recoveryError, whileUserExists } from './recovery-errors.ts';

/**
 * Another address for an account: the new one is proved by code before it counts, and the former one is told,
 * with a way to undo it for a week. Whoever calls has had the person prove again who they are.
 */
export type EmailChange = ReturnType<typeof createEmailChange>;

const UNDO_SECONDS = 7 * 86_400;

export interface EmailChangeDeps {
  db: Db;
  codes: OneTimeCodes;
  links: Links;
  usersOn: (
    db: Db,
  ) => Pick<UserService, 'findByEmail' | 'get' | 'changeEmail' | 'preparePassword' | 'storePassword'>;
}

export function createEmailChange({ db, codes, links, usersOn }: EmailChangeDeps) {
  return {
    /**
     * Sends a code to the new address. If somebody else has it nothing is sent, and the answer is the same.
     * @param request.newEmail as `parseEmail` returns it
     * @param request.binding such as the id of the session
     */
    async start(
      actor: Actor,
      request: { userId: string; newEmail: string; binding: string; locale: string },
    ): Promise<SendOutcome> {
      const { userId, newEmail, binding, locale } = request;
      const owner = await usersOn(db).findByEmail(actor, newEmail);
      return db.transaction((trx) =>
        codes.send(trx, actor, {
          purpose: 'email_change',
          template: 'email_change',
          address: newEmail,
          userId,
          binding,
          locale,
          context: { locale },
          decoy: owner && owner.id !== userId ? 'withheld' : undefined,
        }),
      );
    },

    /**
     * Judges the code and changes the address; once.
     * @throws {AppError} `user.email_taken` when somebody was faster
     */
    async confirm(
      actor: Actor,
      { userId, binding, code }: { userId: string; binding: string; code: string },
    ): Promise<EmailProof> {
      const checked = await codes.check(actor, { purpose: 'email_change', binding, code });
      if (!checked.ok) return checked;
      const url = await links.of(actor.tenantId);
      return db.transaction(async (trx): Promise<EmailProof> => {
        const proved = await codes.consumeProved(trx, actor.tenantId, 'email_change', binding);
        if (proved?.userId !== userId) return { ok: false, reason: 'spent' };
        const { user, formerEmail } = await usersOn(trx).changeEmail(actor, userId, proved.address);
        const { locale = 'en' } = proved.context;
        await codes.send(trx, actor, {
          purpose: 'email_change_undo',
          template: 'email_changed',
          address: formerEmail,
          userId,
          binding: undefined,
          locale,
          url,
          context: { locale },
          mailData: { address: user.email },
          isRequested: false,
          ttlSeconds: UNDO_SECONDS,
        });
        return { ok: true, user };
      });
    },

    /**
     * "This wasn't me", by the link that the former address was sent: the address comes back, all access ends, and
     * a new password takes the place of one that somebody else may know.
     * @throws {AppError} `recovery.not_proved` (410), `user.email_taken`; `password.unacceptable`, which leaves the
     *   link as it was
     */
    async undo(actor: Actor, token: string, { password }: { password: string }): Promise<User> {
      const { tenantId } = actor;
      const { state, link } = await codes.inspect(tenantId, token);
      if (state !== 'open' || link?.purpose !== 'email_change_undo' || link.userId === undefined)
        throw recoveryError('not_proved');
      const { userId } = link;
      const stored = await whileUserExists(() => usersOn(db).preparePassword(actor, userId, password));

      return db.transaction(async (trx) => {
        await codes.holdOf(trx, tenantId, userId);
        const proved = await codes.consumeLink(trx, tenantId, 'email_change_undo', token);
        if (proved?.userId === undefined) throw recoveryError('not_proved');
        const owner: Actor = { ...actor, type: 'user', id: proved.userId };
        const users = usersOn(trx);
        const { user } = await users.changeEmail(
          owner,
          proved.userId,
          proved.address,
          'user.email_change_undone',
        );
        await users.storePassword(owner, user.id, stored);
        for (const purpose of ['password_reset', 'sign_in', 'email_change'] as const) {
          await codes.supersedeOf(trx, tenantId, user.id, purpose);
        }
        return user;
      });
    },
  };
}
