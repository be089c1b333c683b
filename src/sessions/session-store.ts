import type { Db } from '../db/database.ts';
import { isId } from '../lib/ids.ts';
import type { Device } from './device.ts';
import type { UserSession } from './session.ts';

/** What one transaction ends; there may be more. */
const MOST_AT_ONCE = 1000;

/** Queries of `user_sessions`; its rows are written with the engine's sessions, see ledger-statements.ts. */
export function sessionStore(db: Db, tenantId: string) {
  const live = (userId: string) =>
    db<SessionRow>('user_sessions')
      .where({ tenant_id: tenantId, user_id: userId })
      .whereNull('ended_at')
      .where('ends_at', '>', db.fn.now());

  return {
    /**
     * Those that have not ended, the one used last first.
     * @param currentUid comes before all others
     * @returns also the engine's uid, for nobody outside
     */
    async listLive(
      userId: string,
      { currentUid = '', limit }: { currentUid?: string | undefined; limit: number },
    ): Promise<LiveSession[]> {
      if (!isId(userId)) return [];
      const rows = await live(userId)
        .orderByRaw('session_uid = ? DESC, last_seen_at DESC, id DESC', [currentUid])
        .limit(limit);
      return rows.map(toLive);
    },

    /** Those that have not ended, the one made last first. @param page `after` is the id of the last one already seen */
    async pageLive(
      userId: string,
      { after, limit }: { after: string | undefined; limit: number },
    ): Promise<LiveSession[]> {
      if (!isId(userId)) return [];
      const rows = await live(userId)
        .modify((query) => {
          if (after !== undefined) query.where('id', '<', after);
        })
        .orderBy('id', 'desc')
        .limit(limit);
      return rows.map(toLive);
    },

    async countLive(userId: string): Promise<number> {
      if (!isId(userId)) return 0;
      const row = await live(userId).count<{ count: string }[]>('* AS count').first();
      return Number(row?.count ?? 0);
    },

    /** @returns the engine's uids of all but the `most` that were used last */
    async listExcess(userId: string, most: number): Promise<string[]> {
      const rows = await live(userId)
        .orderByRaw('last_seen_at DESC, id DESC')
        .offset(most)
        .limit(MOST_AT_ONCE)
        .select('session_uid');
      return rows.map(({ session_uid: uid }) => uid);
    },

    async findLiveUid(userId: string, id: string): Promise<string | undefined> {
      if (!isId(userId) || !isId(id)) return undefined;
      return (await live(userId).where({ id }).first('session_uid'))?.session_uid;
    },

    /** By the database's clock; undefined for a session that has ended or is not in the ledger. */
    async secondsSinceProof(uid: string): Promise<number | undefined> {
      const row = await db('user_sessions')
        .where({ tenant_id: tenantId, session_uid: uid })
        .whereNull('ended_at')
        .first(db.raw('extract(epoch FROM now() - authenticated_at)::float8 AS seconds'));
      return row?.seconds;
    },

    /**
     * Where the person was seen last, as far back as the ledger goes, and how long ago by the database's clock;
     * undefined for who has never signed in.
     */
    async lastSeen(userId: string): Promise<{ ip: string | null; secondsAgo: number } | undefined> {
      const row = await db('user_sessions')
        .where({ tenant_id: tenantId, user_id: userId })
        .orderBy('last_seen_at', 'desc')
        .first('ip', db.raw('extract(epoch FROM now() - last_seen_at)::float8 AS seconds_ago'));
      return row && { ip: row.ip, secondsAgo: row.seconds_ago };
    },
  };
}

/**
 * People who have more sessions than one person may, among those who signed in lately. Ids tell the time, so it reads
 * no more than the sign-ins of that time, and of each person no more than it takes to know.
 * @param since such an id
 */
export async function findCrowded(
  db: Db,
  { since, most, limit }: { since: string; most: number; limit: number },
): Promise<{ tenantId: string; userId: string }[]> {
  const { rows } = await db.raw<{ rows: { tenant_id: string; user_id: string }[] }>(
    `SELECT r.tenant_id, r.user_id
       FROM (SELECT DISTINCT tenant_id, user_id FROM user_sessions WHERE id >= ?::uuid AND ended_at IS NULL) r
      WHERE EXISTS (SELECT 1 FROM user_sessions l
                     WHERE l.tenant_id = r.tenant_id AND l.user_id = r.user_id AND l.ended_at IS NULL AND l.ends_at > now()
                    OFFSET ?)
      LIMIT ?`,
    [since, most, limit],
  );
  return rows.map((row) => ({ tenantId: row.tenant_id, userId: row.user_id }));
}

interface LiveSession {
  session: UserSession;
  uid: string;
}

interface SessionRow {
  id: string;
  tenant_id: string;
  user_id: string;
  session_uid: string;
  browser: string | null;
  os: string | null;
  device_kind: Device['kind'];
  ip: string | null;
  methods: string[];
  client_ids: string[];
  authenticated_at: Date;
  last_seen_at: Date;
  ends_at: Date;
  created_at: Date;
}

function toLive(row: SessionRow): LiveSession {
  return { session: fromRow(row), uid: row.session_uid };
}

function fromRow(row: SessionRow): UserSession {
  return {
    id: row.id,
    userId: row.user_id,
    device: { browser: row.browser, os: row.os, kind: row.device_kind },
    ip: row.ip,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
    authenticatedAt: row.authenticated_at,
    methods: row.methods,
    clientIds: row.client_ids,
    endsAt: row.ends_at,
  };
}
