import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { isId } from '../lib/ids.ts';

/** What happened to or by one person, newest first: the audit trail as an account's activity. */
export interface UserEvent {
  id: string;
  type: string;
  at: Date;
  /** By the person themselves, or by somebody else. */
  byUser: boolean;
  /** False for what the person did to another account, as administrators do. */
  aboutUser: boolean;
  reason: string | null;
  /** Of the person's own request; nobody learns an administrator's. */
  ip: string | null;
  userAgent: string | null;
  data: Record<string, unknown>;
}

interface Row {
  id: string;
  type: string;
  created_at: Date;
  by_user: boolean;
  about_user: boolean;
  reason: string | null;
  ip: string | null;
  user_agent: string | null;
  data: Record<string, unknown>;
}

const COLUMNS =
  'id, type, created_at, actor_type, actor_id, target_type, target_id, reason, host(ip) AS ip, user_agent, data';
/** More than anybody reads; it bounds what a person with very many events costs. */
const MOST_COUNTED = 1_000;

export function userEvents(db: Db, tenantId: string) {
  return {
    /** @param page `before`: the id of the last one already seen. Each half reads its index from the end. */
    async list(
      userId: string,
      { before, limit }: { before?: string | undefined; limit: number },
    ): Promise<UserEvent[]> {
      const half = (condition: string) =>
        `(SELECT ${COLUMNS} FROM events WHERE tenant_id = ?::uuid AND ${condition} AND id < ?::uuid ORDER BY id DESC LIMIT ?::int)`;
      const bindings = [tenantId, userId, before ?? LAST_ID, limit];
      const { rows } = await prepared<Row>(
        db,
        'user-events',
        `SELECT id, type, created_at, reason, ip, user_agent, data,
                actor_type = 'user' AND actor_id = ?::text AS by_user,
                (target_type = 'user' AND target_id <> ?::text) IS NOT TRUE AS about_user
           FROM (${half("target_type = 'user' AND target_id = ?::text")}
                 UNION ${half("actor_type = 'user' AND actor_id = ?::text")}) AS own
          ORDER BY id DESC LIMIT ?::int`,
        [userId, userId, ...bindings, ...bindings, limit],
      );
      return rows.map(toEvent);
    },

    /** How often each of the types happened to the person since then; a thousand stands for that and more. */
    async counts(
      userId: string,
      types: readonly string[],
      since: Date,
    ): Promise<Map<string, { count: number; lastAt: Date }>> {
      if (!isId(userId)) return new Map();
      const { rows } = await prepared<{ type: string; count: number; last_at: Date }>(
        db,
        'user-event-counts',
        `SELECT type, count(*)::int AS count, max(created_at) AS last_at
           FROM (SELECT type, created_at FROM events
                  WHERE tenant_id = ? AND target_type = 'user' AND target_id = ? AND id >= ?::uuid AND type = ANY (?)
                  ORDER BY id DESC LIMIT ${MOST_COUNTED}) AS recent
          GROUP BY type`,
        [tenantId, userId, firstIdAt(since), [...types]],
      );
      return new Map(rows.map(({ type, count, last_at: lastAt }) => [type, { count, lastAt }]));
    },
  };
}

const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Event ids begin with their time (RFC 9562 §5.7), so the index that orders them also finds it. */
function firstIdAt(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

function toEvent(row: Row): UserEvent {
  const { id, type, created_at: at, by_user: byUser, about_user: aboutUser, reason, data } = row;
  return {
    id,
    type,
    at,
    byUser,
    aboutUser,
    reason,
    ip: byUser ? row.ip : null,
    userAgent: byUser ? row.user_agent : null,
    data,
  };
}
