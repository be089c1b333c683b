import type { Db } from '../db/database.ts';
import { recordEvents } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { defineErrors } from '../lib/errors.ts';
import { MOST_LIVE_SESSIONS } from './session.ts';
import type { SessionEndReason, UserSession } from './session.ts';
import { sessionStore } from './session-store.ts';

const fail = defineErrors('session', {
  not_found: { status: 404, message: 'There is no such session.' },
});

export type ListedSession = UserSession & { isCurrent: boolean };

/** More are nothing to look through; apps that sign in again and again make as many. */
const MOST_LISTED = 100;
/** A page of the API, and one more to know whether there is another. */
const MAX_PAGE = 201;

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
    reason: 'revoked' | 'too_many' = 'revoked',
  ): Promise<number> {
    return db.transaction(async (trx) => {
      const ids = await endSessions(trx, actor.tenantId, { userId, ...which, reason });
      const target = { type: 'user', id: userId };
      await recordEvents(
        trx,
        actor,
        'session.ended',
        ids.map((id) => ({ target, reason, data: { session_id: id } })),
      );
      return ids.length;
    });
  }

  return {
    /**
     * @param currentUid the engine's uid of the session that asks, if it is one of them
     * @returns those that have not ended, that one first, then the one used last; at most 100
     */
    async list(
      { tenantId }: Pick<Actor, 'tenantId'>,
      userId: string,
      currentUid?: string,
    ): Promise<ListedSession[]> {
      const rows = await sessionStore(db, tenantId).listLive(userId, { currentUid, limit: MOST_LISTED });
      return rows.map(({ session, uid }) => ({ ...session, isCurrent: uid === currentUid }));
    },

    /**
     * The same by pages, the one made last first.
     * @param page `after` is the id of the last one already seen; at most 201 at a time
     */
    async page(
      { tenantId }: Pick<Actor, 'tenantId'>,
      userId: string,
      { after, limit }: { after: string | undefined; limit: number },
      currentUid?: string,
    ): Promise<ListedSession[]> {
      const page = { after, limit: Math.min(Math.max(1, limit), MAX_PAGE) };
      const rows = await sessionStore(db, tenantId).pageLive(userId, page);
      return rows.map(({ session, uid }) => ({ ...session, isCurrent: uid === currentUid }));
    },

    /** How many have not ended. */
    count: ({ tenantId }: Pick<Actor, 'tenantId'>, userId: string): Promise<number> =>
      sessionStore(db, tenantId).countLive(userId),

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

    /** Of somebody who has more sessions than one person may: those that were used longest ago. @returns how many ended */
    async endExcess(actor: Actor, userId: string): Promise<number> {
      const uids = await sessionStore(db, actor.tenantId).listExcess(userId, MOST_LIVE_SESSIONS);
      return uids.length === 0 ? 0 : end(actor, userId, { uids }, 'too_many');
    },
  };
}
