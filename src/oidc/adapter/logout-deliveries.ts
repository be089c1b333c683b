import type { Db } from '../../db/database.ts';
import { newId } from '../../lib/ids.ts';

/**
 * Back-channel logouts (OpenID Connect Back-Channel Logout 1.0) that wait for delivery. They commit with
 * the logout itself and are sent afterwards, so an app that is down hears of it when it is back.
 */
export interface LogoutDelivery {
  id: string;
  tenantId: string;
  clientId: string;
  accountId: string;
  sid: string | undefined;
  attempts: number;
}

interface DeliveryRow {
  id: string;
  tenant_id: string;
  client_id: string;
  account_id: string;
  sid: string | null;
  attempts: number;
}

/** Apps that want to be told. Also those that are gone: their own sessions should not outlive their place here. */
const LISTENING = "c.metadata ->> 'backchannel_logout_uri' IS NOT NULL";

/** For the end of one app's part in a session. */
export async function enqueueLogout(
  trx: Db,
  tenantId: string,
  { clientId, accountId, sid }: { clientId: string; accountId: string; sid?: string | undefined },
): Promise<void> {
  await trx.raw(
    `INSERT INTO logout_deliveries (id, tenant_id, client_id, account_id, sid)
     SELECT ?, c.tenant_id, c.client_id, ?, ? FROM clients c
      WHERE c.tenant_id = ? AND c.client_id = ? AND ${LISTENING}`,
    [newId(), accountId, sid ?? null, tenantId, clientId],
  );
}

/**
 * For sessions, one statement however many there are: each app that they know and that wants to be told.
 * @param sessions a table or a part of the same `WITH` that has `tenant_id`, `account_id` and `payload`
 */
export function logoutsOf(sessions: string): string {
  return `INSERT INTO logout_deliveries (id, tenant_id, client_id, account_id, sid)
     SELECT gen_random_uuid(), s.tenant_id, c.client_id, s.account_id, a.value ->> 'sid'
       FROM ${sessions} s CROSS JOIN LATERAL jsonb_each(s.payload -> 'authorizations') a
       JOIN clients c ON c.tenant_id = s.tenant_id AND c.client_id = a.key AND ${LISTENING}`;
}

/** For what an app loses without the sessions of these people ending. */
export async function enqueueClientLogouts(
  trx: Db,
  tenantId: string,
  { clientId, accountIds }: { clientId: string; accountIds: readonly string[] },
): Promise<void> {
  if (accountIds.length === 0) return;
  await trx.raw(
    `${logoutsOf('oidc_models')}
      WHERE c.tenant_id = ? AND c.client_id = ? AND s.tenant_id = ? AND s.model = 'Session'
        AND s.account_id = ANY (?::uuid[]) AND s.dead_at IS NULL AND s.expires_at > now()`,
    [tenantId, clientId, tenantId, [...new Set(accountIds)]],
  );
}

/** An app of a tenant. */
export type ToldApp = Pick<LogoutDelivery, 'tenantId' | 'clientId'>;

/**
 * Takes what is due, each for the time of one attempt: a process that dies leaves it due again. No app gets more than
 * its share, however much waits for it, and what was never tried goes first: many that do not answer keep no other
 * waiting. The arrays make each subquery run once (as a join it could run again and exceed the limit).
 * @param take.attemptSeconds how long nobody else takes it
 * @param take.share the most for one app
 * @param take.except apps that are not to be asked now
 */
export async function takeDueLogouts(
  db: Db,
  take: { limit: number; share: number; attemptSeconds: number; except: readonly ToldApp[] },
): Promise<LogoutDelivery[]> {
  // From app to app by the index, since what waits for one may be more than can be read.
  const { rows } = await db.raw<{ rows: DeliveryRow[] }>(
    `WITH RECURSIVE apps AS (
       (SELECT tenant_id, client_id FROM logout_deliveries ORDER BY tenant_id, client_id LIMIT 1)
       UNION ALL
       SELECT next.tenant_id, next.client_id
         FROM apps CROSS JOIN LATERAL (
           SELECT d.tenant_id, d.client_id FROM logout_deliveries d
            WHERE (d.tenant_id, d.client_id) > (apps.tenant_id, apps.client_id)
            ORDER BY d.tenant_id, d.client_id LIMIT 1) AS next)
     UPDATE logout_deliveries
        SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => ?::float8), updated_at = now()
      WHERE id = ANY (ARRAY (
        SELECT id FROM logout_deliveries
         WHERE next_attempt_at <= now() AND id = ANY (ARRAY (
           SELECT due.id FROM apps CROSS JOIN LATERAL (
             SELECT d.id, d.attempts, d.next_attempt_at FROM logout_deliveries d
              WHERE d.tenant_id = apps.tenant_id AND d.client_id = apps.client_id AND d.next_attempt_at <= now()
              ORDER BY d.next_attempt_at LIMIT ?) AS due
            WHERE (apps.tenant_id, apps.client_id) NOT IN (SELECT * FROM unnest(?::uuid[], ?::text[]))
            ORDER BY due.attempts, due.next_attempt_at LIMIT ?))
         FOR UPDATE SKIP LOCKED))
      RETURNING id, tenant_id, client_id, account_id, sid, attempts`,
    [
      take.attemptSeconds,
      take.share,
      take.except.map(({ tenantId }) => tenantId),
      take.except.map(({ clientId }) => clientId),
      take.limit,
    ],
  );
  return rows.map((row) => ({
    id: row.id,
    tenantId: row.tenant_id,
    clientId: row.client_id,
    accountId: row.account_id,
    sid: row.sid ?? undefined,
    attempts: row.attempts,
  }));
}

export async function finishLogout(db: Db, id: string): Promise<void> {
  await db('logout_deliveries').where({ id }).delete();
}

export async function postponeLogout(db: Db, id: string, delaySeconds: number, error: string): Promise<void> {
  await db('logout_deliveries')
    .where({ id })
    .update({
      next_attempt_at: db.raw('now() + make_interval(secs => ?::float8)', [delaySeconds]),
      last_error: error.slice(0, 500),
      updated_at: db.fn.now(),
    });
}
