import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import { userEvents } from '../events/user-events.ts';
import type { Actor } from '../http/actor.ts';
import { SOURCE_LOCALE } from '../i18n/translations.ts';
import { days, later } from '../lib/clock.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Links } from '../one-time-codes/links.ts';
import type { OneTimeCodes } from '../one-time-codes/one-time-codes.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import type { User } from '../users/user.ts';
import type { UserService } from '../users/user-service.ts';
import { mayRecover } from './may-recover.ts';
import { recoveryError } from './recovery-errors.ts';

/**
 * The lock that too many wrong guesses put on an account, and its owner's way to open it: a mail with a link. It
 * proves that somebody reads the account's address, and nothing more: whoever guessed begins anew as well, with
 * as few attempts as before.
 */
export type AccountLock = ReturnType<typeof createAccountLock>;

const LINK_SECONDS = 7 * 86_400;
/** Strangers lock accounts; they must not be able to fill a mailbox by it. */
const MAILS_A_DAY = 3;

export interface AccountLockDeps {
  db: Db;
  now: Clock;
  codes: OneTimeCodes;
  links: Links;
  usersOn: (db: Db) => Pick<UserService, 'findByEmail' | 'lock' | 'unlock'>;
  isMailAvailable: boolean;
}

export function createAccountLock(deps: AccountLockDeps) {
  const { db, now, codes, links, usersOn, isMailAvailable } = deps;

  /** Where the owner has saved none, which the outbox knows; never that of the request, which a stranger made. */
  async function localeOf(trx: Db, tenantId: string): Promise<string> {
    const tenant = await tenantStore(trx).find(tenantId);
    return tenant?.settings.locale ?? SOURCE_LOCALE;
  }

  async function tell(
    trx: Db,
    actor: Actor,
    owner: { userId: string | undefined; email: string },
    url: (token: string) => string,
  ): Promise<void> {
    const { tenantId } = actor;
    const { userId, email } = owner;
    const type = 'auth.account_locked';
    const since = later(now(), -days(1));
    const locks = await userEvents(trx, tenantId).counts(userId ?? newId(), [type], since);
    const locale = await localeOf(trx, tenantId);
    const isOneTooMany = (locks.get(type)?.count ?? 0) > MAILS_A_DAY;
    await codes.send(trx, actor, {
      purpose: 'unlock',
      template: 'account_locked',
      address: email,
      userId,
      binding: undefined,
      locale,
      url,
      context: { locale },
      decoy: userId === undefined || isOneTooMany ? 'withheld' : undefined,
      isRequested: false,
      ttlSeconds: LINK_SECONDS,
    });
  }

  return {
    /**
     * Locks an account after its last failure, and tells its owner; no more than once. What a stranger can measure
     * is alike for an address that nobody has.
     * @param actor who guessed
     * @param account.userId undefined: nobody's
     */
    async lock(
      actor: Actor,
      account: { userId: string | undefined; email: string },
      { seconds }: { seconds: number | undefined },
    ): Promise<void> {
      const { userId, email } = account;
      const url = await links.of(actor.tenantId);
      await db.transaction(async (trx) => {
        const users = usersOn(trx);
        const isNews =
          userId === undefined || (await users.lock(actor, userId, { cause: 'guessing', seconds }));
        if (userId === undefined) {
          await recordEvent(trx, actor, 'auth.suspicious_activity', { reason: 'guessing' });
        }
        if (!isNews || !isMailAvailable) return;
        // As it was typed the first time, not as somebody guessed at it.
        const user = await users.findByEmail(actor, email);
        await tell(trx, actor, { userId: user?.id, email: user?.email ?? email }, url);
      });
    },

    /**
     * Opens the account by the link of the mail, in whatever browser; an administrator's lock stays.
     * @throws {AppError} `recovery.not_proved` (410)
     */
    async unlockByLink(actor: Actor, token: string): Promise<User> {
      return db.transaction(async (trx) => {
        const proved = await codes.consumeLink(trx, actor.tenantId, 'unlock', token);
        const users = usersOn(trx);
        const user = proved && (await users.findByEmail(actor, proved.address));
        // The address can have changed hands since the mail was sent.
        if (!user || user.id !== proved.userId || !mayRecover(user)) throw recoveryError('not_proved');
        return users.unlock({ ...actor, type: 'user', id: user.id }, user.id, { reason: 'mail' });
      });
    },
  };
}
