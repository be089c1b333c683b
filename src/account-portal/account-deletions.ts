import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import { systemActor } from '../http/actor.ts';
import type { Actor } from '../http/actor.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import { userStore } from '../users/user-store.ts';
import type { UserService } from '../users/user-service.ts';

/**
 * People delete their own account: it ends everywhere at once, and is deleted after a time in which signing in
 * again calls it off. The sign-in itself does nothing for that; whoever comes to delete looks whether there was one.
 */
const GRACE_DAYS = 14;

export type AccountDeletions = ReturnType<typeof createAccountDeletions>;

export function createAccountDeletions({
  db,
  usersOn,
  revokeAccess,
  enqueueMail,
}: {
  db: Db;
  usersOn: (db: Db) => Pick<UserService, 'delete'>;
  /** Ends all sessions and grants. */
  revokeAccess: (trx: Db, tenantId: string, userId: string) => Promise<void>;
  enqueueMail: EnqueueMail | undefined;
}) {
  /** A proof of identity since the request. */
  const SIGNED_IN_SINCE = `EXISTS (SELECT 1 FROM user_sessions s
    WHERE s.tenant_id = d.tenant_id AND s.user_id = d.user_id AND s.authenticated_at > d.created_at)`;

  /** @returns whether this call, and no other, did */
  async function cancel(trx: Db, actor: Actor, userId: string): Promise<boolean> {
    const removed = await trx('account_deletions')
      .where({ tenant_id: actor.tenantId, user_id: userId })
      .delete();
    if (removed === 0) return false;
    await recordEvent(trx, actor, 'user.deletion_cancelled', { target: { type: 'user', id: userId } });
    return true;
  }

  return {
    graceDays: GRACE_DAYS,

    async request(
      actor: Actor & { id: string },
      { email, locale }: { email: string; locale: string },
    ): Promise<void> {
      await db.transaction(async (trx) => {
        // First, and the statement's time instead of the transaction's: no sign-in before this may count as one after.
        await revokeAccess(trx, actor.tenantId, actor.id);
        const rows = await trx('account_deletions')
          .insert({
            user_id: actor.id,
            tenant_id: actor.tenantId,
            due_at: trx.raw('clock_timestamp() + make_interval(days => ?)', [GRACE_DAYS]),
            created_at: trx.raw('clock_timestamp()'),
          })
          .onConflict('user_id')
          .ignore()
          .returning('user_id');
        if (rows.length === 0) return;
        await recordEvent(trx, actor, 'user.deletion_requested', { target: { type: 'user', id: actor.id } });
        await enqueueMail?.(trx, {
          tenantId: actor.tenantId,
          recipient: email,
          template: 'account_deletion',
          locale,
          data: {},
          isRequested: false,
        });
      });
    },

    /** The person is here again. @returns whether this called a deletion off */
    async callOff(actor: Actor & { id: string }): Promise<boolean> {
      const waiting = await db('account_deletions')
        .where({ tenant_id: actor.tenantId, user_id: actor.id })
        .first('user_id');
      if (!waiting) return false;
      return db.transaction((trx) => cancel(trx, actor, actor.id));
    },

    /**
     * Deletes one account whose time has come, or keeps it if the person signed in since. It holds the request, so
     * that nobody can call it off meanwhile, and the user, so that no sign-in can pass by unseen.
     * @returns whether there was one
     */
    async carryOutNext(): Promise<boolean> {
      return db.transaction(async (trx) => {
        const due: DueRow | undefined = await trx<DueRow>('account_deletions')
          .where('due_at', '<=', trx.fn.now())
          .orderBy('due_at')
          .forUpdate()
          .skipLocked()
          .first('user_id', 'tenant_id');
        if (!due) return false;
        const { user_id: userId, tenant_id: tenantId } = due;
        const user = await userStore(trx, tenantId).findForUpdate(userId);
        const { rows } = await trx.raw<{ rows: { is_back: boolean }[] }>(
          `SELECT ${SIGNED_IN_SINCE} AS is_back FROM account_deletions d WHERE d.user_id = ?`,
          [userId],
        );
        const actor = systemActor(tenantId);
        if (rows[0]?.is_back) await cancel(trx, actor, userId);
        else {
          // Without one, somebody else deleted the account meanwhile.
          if (user) await usersOn(trx).delete(actor, userId, { reason: 'requested' });
          await trx('account_deletions').where({ tenant_id: tenantId, user_id: userId }).delete();
        }
        return true;
      });
    },
  };
}

interface DueRow {
  user_id: string;
  tenant_id: string;
}
