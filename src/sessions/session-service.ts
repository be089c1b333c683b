import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { defineErrors } from '../lib/errors.ts';
import type { SessionEndReason, UserSession } from './session.ts';
import { sessionStore } from './session-store.ts';

const fail = defineErrors('session', {
  not_found: { status: 404, message: 'There is no such session.' },
});

/** Ends sessions of the engine with what apps got through them. @returns the ids of those it ended */
type EndSessions = (
  trx: Db,
  tenantId: string,
  choice: {
    userId: string;
    uids?: readonly string[] | undefined;
    exceptUid?: string | undefined;
    reason: SessionEndReason;
  },
) => Promise<string[]>;

export type SessionService = ReturnType<typeof createSessionService>;

/**
 * Lists and ends people's browser sessions. Who may do so is decided before: by the account portal for
 * oneself, by a permission for others.
 * @param db a pool or a transaction; a session, what hangs on it and the event end together
 */
export function createSessionService({ db, endSessions }: { db: Db; endSessions: EndSessions }) {
  async function end(
    actor: Actor,
    userId: string,
    which: { uids?: readonly string[]; exceptUid?: string | undefined },
  ): Promise<number> {
    return db.transaction(async (trx) => {
      const ids = await endSessions(trx, actor.tenantId, { userId, ...which, reason: 'revoked' });
      for (const id of ids) {
        await recordEvent(trx, actor, 'session.ended', {
          target: { type: 'user', id: userId },
          reason: 'revoked',
          data: { session_id: id },
        });
      }
      return ids.length;
    });
  }

  return {
    /**
     * @param currentUid the engine's uid of the session that asks, if it is one of them
     * @returns those that have not ended, the one used last first
     */
    async list(
      { tenantId }: Pick<Actor, 'tenantId'>,
      userId: string,
      currentUid?: string,
    ): Promise<(UserSession & { isCurrent: boolean })[]> {
      const rows = await sessionStore(db, tenantId).listLive(userId);
      return rows.map(({ session, uid }) => ({ ...session, isCurrent: uid === currentUid }));
    },

    /** @throws {AppError} `session.not_found`, also for one of somebody else and one that has ended */
    async revoke(actor: Actor, userId: string, id: string): Promise<void> {
      const uid = await sessionStore(db, actor.tenantId).findLiveUid(userId, id);
      if (uid === undefined || (await end(actor, userId, { uids: [uid] })) === 0) throw fail('not_found');
    },

    /** @param keepUid the engine's uid of the one that goes on. @returns how many ended */
    revokeOthers: (actor: Actor, userId: string, keepUid: string): Promise<number> =>
      end(actor, userId, { exceptUid: keepUid }),

    /** @returns how many ended */
    revokeAll: (actor: Actor, userId: string): Promise<number> => end(actor, userId, {}),
  };
}
