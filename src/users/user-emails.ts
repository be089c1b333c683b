import { isUniqueViolation } from '../db/database-errors.ts';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import type { User } from './user.ts';
import { userChanges } from './user-changes.ts';
import { userError } from './user-errors.ts';
import { userStore } from './user-store.ts';

/** Whose address it is: who proved it is decided by one-time-codes, here it takes effect. */
export function createUserEmails({ db, now }: { db: Db; now: Clock }) {
  const change = userChanges(db);

  return {
    /**
     * The person proved to read the address of the account. A pending account becomes active by it.
     * @throws {AppError} `user.not_found`
     */
    confirmEmail: (actor: Actor, id: string): Promise<User> =>
      change(actor, id, async (trx, user) => {
        const at = now();
        const users = userStore(trx, actor.tenantId);
        const target = { type: 'user', id };
        let confirmed = user;
        if (user.emailVerifiedAt === null) {
          await users.setEmail(id, user.email, at);
          await recordEvent(trx, actor, 'user.email_verified', { target });
          confirmed = { ...confirmed, emailVerifiedAt: at, updatedAt: at };
        }
        if (user.status === 'pending') {
          await users.setStatus(id, 'active', at);
          await recordEvent(trx, actor, 'user.activated', {
            target,
            data: { before: { status: 'pending' }, after: { status: 'active' } },
          });
          confirmed = { ...confirmed, status: 'active', updatedAt: at };
        }
        return confirmed;
      }),

    /**
     * Gives the account another address, which its owner proved to read.
     * @param email as `parseEmail` returns it
     * @returns the user as they are now, and the former address
     * @throws {AppError} `user.not_found`, `user.email_taken`
     */
    async changeEmail(
      actor: Actor,
      id: string,
      email: string,
      type: 'user.email_changed' | 'user.email_change_undone' = 'user.email_changed',
    ): Promise<{ user: User; formerEmail: string }> {
      try {
        return await change(actor, id, async (trx, user) => {
          const at = now();
          await userStore(trx, actor.tenantId).setEmail(id, email, at);
          // Neither address: the audit trail outlives the person's data.
          await recordEvent(trx, actor, type, { target: { type: 'user', id } });
          return {
            user: { ...user, email, emailVerifiedAt: at, updatedAt: at },
            formerEmail: user.email,
          };
        });
      } catch (err) {
        if (!isUniqueViolation(err, 'users_tenant_id_email_key')) throw err;
        throw userError('email_taken', { cause: err });
      }
    },
  };
}
