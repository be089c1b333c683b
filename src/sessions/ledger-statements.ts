import type { Knex } from 'knex';
import { addressOrNull } from '../lib/networks.ts';
import { newId } from '../lib/ids.ts';
import { describeDevice } from './device.ts';

/**
 * The ledger's share of the statements that write a session of the engine, as parts of a `WITH`: a sign-in
 * costs no round trip more for it.
 */

/** How long what ended stays known: a browser that comes back is not new, and people ask who it was. */
const KEPT_DAYS = 90;

/** What the engine's session says, and whoever is sending the request. */
export interface LedgerEntry {
  tenantId: string;
  userId: string;
  sessionUid: string;
  ip: string | undefined;
  userAgent: string | undefined;
  methods: readonly string[];
  clientIds: readonly string[];
  /** The engine's own time of the sign-in: only whether it is another one counts. */
  loginTs: number | null;
  idleSeconds: number;
  absoluteSeconds: number;
}

/**
 * Takes `ledgerEntry`. `ledger` has one row, `ends_at`, or none when the session was ended before. Times are
 * the database's: servers whose clocks differ must agree on when a session ends.
 * @param condition under which it is written
 */
export const ledgerEntryUnder = (condition: string): string => `
  given AS (
    SELECT ?::uuid AS id, ?::uuid AS tenant_id, ?::uuid AS user_id, ?::text AS session_uid, ?::text AS browser, ?::text AS os,
           ?::text AS device_kind, ?::inet AS ip, ?::text[] AS methods, ?::text[] AS client_ids, ?::bigint AS login_ts,
           make_interval(secs => ?::float8) AS idle, make_interval(secs => ?::float8) AS absolute),
  ledger AS (
    INSERT INTO user_sessions AS l (id, tenant_id, user_id, session_uid, browser, os, device_kind, ip, methods, client_ids,
                                    login_ts, ends_at, expires_at)
    SELECT id, tenant_id, user_id, session_uid, browser, os, device_kind, ip, methods, client_ids, login_ts,
           now() + LEAST(idle, absolute), now() + LEAST(idle, absolute) + interval '${KEPT_DAYS} days'
      FROM given WHERE ${condition}
    ON CONFLICT (tenant_id, session_uid) DO UPDATE
      SET (browser, os, device_kind, ip, methods, client_ids, login_ts, authenticated_at, last_seen_at, ends_at, expires_at, updated_at) =
          (SELECT excluded.browser, excluded.os, excluded.device_kind, excluded.ip, excluded.methods,
                  ARRAY(SELECT DISTINCT unnest(l.client_ids || excluded.client_ids)), excluded.login_ts, proved_at, now(),
                  LEAST(now() + idle, proved_at + absolute),
                  LEAST(now() + idle, proved_at + absolute) + interval '${KEPT_DAYS} days', now()
             FROM given, LATERAL (SELECT CASE WHEN l.login_ts IS NOT DISTINCT FROM excluded.login_ts
                                              THEN l.authenticated_at ELSE now() END AS proved_at) AS proof)
      WHERE l.ended_at IS NULL AND l.user_id = excluded.user_id
    RETURNING ends_at)`;

export function ledgerEntry(entry: LedgerEntry): Knex.RawBinding[] {
  const { browser, os, kind } = describeDevice(entry.userAgent);
  return [
    newId(),
    entry.tenantId,
    entry.userId,
    entry.sessionUid,
    browser,
    os,
    kind,
    addressOrNull(entry.ip),
    [...entry.methods],
    [...entry.clientIds],
    entry.loginTs,
    entry.idleSeconds,
    entry.absoluteSeconds,
  ];
}

/**
 * A use of the session that is no authorization request. Takes `ledgerTouched`.
 * @param held a part of the same `WITH` that has `tenant_id` and `session_uid`, and the lock, of what is used
 */
export function ledgerTouch(held: string): string {
  return `ledger_touch AS (
    UPDATE user_sessions l
       SET browser = g.browser, os = g.os, device_kind = g.device_kind, ip = g.ip, last_seen_at = now(), updated_at = now(),
           ends_at = LEAST(now() + g.idle, l.authenticated_at + g.absolute),
           expires_at = LEAST(now() + g.idle, l.authenticated_at + g.absolute) + interval '${KEPT_DAYS} days'
      FROM ${held}, (SELECT ?::text AS browser, ?::text AS os, ?::text AS device_kind, ?::inet AS ip,
                            make_interval(secs => ?::float8) AS idle, make_interval(secs => ?::float8) AS absolute,
                            make_interval(secs => ?::float8) AS not_seen_for) AS g
     WHERE l.tenant_id = ${held}.tenant_id AND l.session_uid = ${held}.session_uid AND l.ended_at IS NULL
       AND l.last_seen_at <= now() - g.not_seen_for
    RETURNING l.tenant_id, l.session_uid, l.ends_at)`;
}

export function ledgerTouched(
  touch: Pick<LedgerEntry, 'ip' | 'userAgent' | 'idleSeconds' | 'absoluteSeconds'> & {
    notSeenForSeconds: number;
  },
): Knex.RawBinding[] {
  const { browser, os, kind } = describeDevice(touch.userAgent);
  return [
    browser,
    os,
    kind,
    addressOrNull(touch.ip),
    touch.idleSeconds,
    touch.absoluteSeconds,
    touch.notSeenForSeconds,
  ];
}

/** @param ended a part of the same `WITH` that has `tenant_id` and `session_uid` of what ended. Takes the reason. */
export function ledgerEnd(ended: string): string {
  return `ledger_end AS (
    UPDATE user_sessions l SET ended_at = clock_timestamp(), end_reason = ?::text, updated_at = now()
      FROM ${ended}
     WHERE l.tenant_id = ${ended}.tenant_id AND l.session_uid = ${ended}.session_uid AND l.ended_at IS NULL
    RETURNING l.id, l.session_uid)`;
}

/** The same for many, which are locked and end whatever else the statement does. Takes the reason, the tenant and the engine's uids. */
export const LEDGER_END_OF_MANY = `
  UPDATE user_sessions SET ended_at = clock_timestamp(), end_reason = ?::text, updated_at = now()
   WHERE tenant_id = ? AND session_uid = ANY (?) AND ended_at IS NULL
  RETURNING id`;
