import { isUniqueViolation } from '../db/database-errors.ts';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { EventType } from '../events/event-types.ts';
import type { Actor } from '../http/actor.ts';
import { later, seconds } from '../lib/clock.ts';
import type { Clock } from '../lib/clock.ts';
import { canBecome } from './user.ts';
import type { LockCause, User, UserStatus } from './user.ts';
import { userChanges } from './user-changes.ts';
import { userError } from './user-errors.ts';
import type { Lock } from './user-store.ts';
import { userStore } from './user-store.ts';

/**
 * pending → active ⇄ locked, disabled → deleted → erased: every step with its event, and what must end with it.
 */

export interface LifeCycleDeps {
  /** Ends the user's sessions and grants within the transaction it is given. */
  revokeAccess: (trx: Db, tenantId: string, userId: string) => Promise<void>;
  /** Forgets failed sign-ins at an address, within the transaction it is given. */
  forgetFailures: (trx: Db, tenantId: string, email: string) => Promise<void>;
}

/** How an account was unlocked, for the audit trail. */
export type UnlockReason = 'administrator' | 'mail' | 'time';

interface LockOptions {
  cause: LockCause;
  seconds?: number | undefined;
  reason?: string | undefined;
}

interface StatusChange {
  type: EventType;
  reason?: string | undefined;
  lock?: Lock;
  onChange?: (trx: Db) => Promise<void>;
}

/** @param db a pool or a transaction; every change and its event commit together */
export function createUserLifeCycle({
  db,
  now,
  revokeAccess,
  forgetFailures,
}: { db: Db; now: Clock } & LifeCycleDeps) {
  const change = userChanges(db);

  function changeStatus(actor: Actor, id: string, status: UserStatus, how: StatusChange): Promise<User> {
    return change(actor, id, async (trx, user) =>
      user.status === status ? user : moveTo(trx, actor, user, status, how),
    );
  }

  async function moveTo(
    trx: Db,
    actor: Actor,
    user: User,
    status: UserStatus,
    { type, reason, lock, onChange }: StatusChange,
  ): Promise<User> {
    if (!canBecome(user.status, status)) {
      throw userError('invalid_transition', {
        message: `A user who is ${user.status} cannot become ${status}.`,
      });
    }
    const at = now();
    await userStore(trx, actor.tenantId).setStatus(user.id, status, at, lock);
    await onChange?.(trx);
    await recordEvent(trx, actor, type, {
      target: { type: 'user', id: user.id },
      ...(reason === undefined ? {} : { reason }),
      data: { before: { status: user.status }, after: { status, ...lockData(lock) } },
    });
    return {
      ...user,
      status,
      lockCause: lock?.cause ?? null,
      lockedUntil: lock?.until ?? null,
      updatedAt: at,
    };
  }

  return {
    /**
     * Ends all access and refuses any more. A user who is disabled already stays so.
     * @throws {AppError} `user.not_found`
     */
    disable: (actor: Actor, id: string, { reason }: { reason?: string | undefined } = {}): Promise<User> =>
      changeStatus(actor, id, 'disabled', {
        type: 'user.disabled',
        reason,
        onChange: (trx) => revokeAccess(trx, actor.tenantId, id),
      }),

    /** Lets a disabled, locked or pending user sign in. @throws {AppError} `user.not_found` */
    enable: (actor: Actor, id: string): Promise<User> =>
      changeStatus(actor, id, 'active', { type: 'user.enabled' }),

    /**
     * Locks an active user: by an administrator with the end of all access, after too many failures without
     * (see `LockCause`). Who is not active stays as they are.
     * @param lock.seconds until it ends by itself; without it until somebody unlocks the account
     * @returns whether this call locked the account
     * @throws {AppError} `user.not_found`
     */
    lock(actor: Actor, id: string, { cause, seconds: life, reason }: LockOptions): Promise<boolean> {
      return change(actor, id, async (trx, user) => {
        const isStricter = user.lockCause === 'guessing' && cause === 'administrator';
        if (user.status !== 'active' && !isStricter) return false;
        const lock = { cause, until: life === undefined ? undefined : later(now(), seconds(life)) };
        const from = isStricter ? { ...user, status: 'active' as const } : user;
        await moveTo(trx, actor, from, 'locked', {
          type: 'auth.account_locked',
          reason: reason ?? cause,
          lock,
          onChange: async (inside) => {
            if (cause === 'administrator') await revokeAccess(inside, actor.tenantId, id);
          },
        });
        return true;
      });
    },

    /**
     * Opens a locked account, and in any case forgets failed sign-ins, so that the next one need not wait. Of an
     * account that was open this is recorded where an administrator did it.
     * @throws {AppError} `user.not_found`
     */
    unlock: (actor: Actor, id: string, { reason }: { reason: UnlockReason }): Promise<User> =>
      change(actor, id, async (trx, user) => {
        await forgetFailures(trx, actor.tenantId, user.email);
        const how = { type: 'user.unlocked', reason } as const;
        if (user.status === 'locked') return moveTo(trx, actor, user, 'active', how);
        if (reason === 'administrator')
          await recordEvent(trx, actor, how.type, { target: { type: 'user', id }, reason });
        return user;
      }),

    /**
     * Ends all access and frees the e-mail address for somebody else. Profile and password stay out of sight until they are
     * erased; until then the user can be restored.
     * @throws {AppError} `user.not_found`
     */
    async delete(actor: Actor, id: string, { reason }: { reason?: string | undefined } = {}): Promise<void> {
      await changeStatus(actor, id, 'deleted', {
        type: 'user.deleted',
        reason,
        onChange: (trx) => revokeAccess(trx, actor.tenantId, id),
      });
    },

    /**
     * Takes back a deletion. The user comes back disabled: an administrator looks before they enable them.
     * @throws {AppError} `user.not_found` also for who was erased, `user.email_taken`
     */
    async restore(actor: Actor, id: string): Promise<User> {
      try {
        return await db.transaction(async (trx) => {
          const user = await userStore(trx, actor.tenantId).findDeletedForUpdate(id);
          if (!user) throw userError('not_found');
          return moveTo(trx, actor, user, 'disabled', { type: 'user.restored' });
        });
      } catch (err) {
        if (!isUniqueViolation(err, 'users_tenant_id_email_key')) throw err;
        throw userError('email_taken', { cause: err });
      }
    },

    /**
     * Removes a deleted user for good: profile, credentials, consents, roles. The audit trail keeps the id alone.
     * @throws {AppError} `user.not_found` for who was not deleted before
     */
    async erase(actor: Actor, id: string): Promise<void> {
      await db.transaction(async (trx) => {
        const users = userStore(trx, actor.tenantId);
        if (!(await users.findDeletedForUpdate(id))) throw userError('not_found');
        await users.erase(id);
        await recordEvent(trx, actor, 'user.erased', { target: { type: 'user', id } });
      });
    },
  };
}

function lockData(lock: Lock | undefined): object {
  return lock?.until === undefined ? {} : { lockedUntil: lock.until.toISOString() };
}
