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

export async function enqueueLogout(
  trx: Db,
  tenantId: string,
  { clientId, accountId, sid }: { clientId: string; accountId: string; sid?: string | undefined },
): Promise<void> {
  await trx('logout_deliveries').insert({
    id: newId(),
    tenant_id: tenantId,
    client_id: clientId,
    account_id: accountId,
    sid: sid ?? null,
  });
}

/**
 * For what an app loses without the sessions ending: each session of these people that the app knows, if it wants to
 * be told. One statement, however many there are.
 */
export async function enqueueClientLogouts(
  trx: Db,
  tenantId: string,
  { clientId, accountIds }: { clientId: string; accountIds: readonly string[] },
): Promise<void> {
  if (accountIds.length === 0) return;
  await trx.raw(
    `INSERT INTO logout_deliveries (id, tenant_id, client_id, account_id, sid)
     SELECT gen_random_uuid(), s.tenant_id, c.client_id, s.account_id, a.value ->> 'sid'
       FROM clients c, oidc_models s, LATERAL jsonb_each(s.payload -> 'authorizations') a
      WHERE c.tenant_id = ? AND c.client_id = ? AND c.metadata ->> 'backchannel_logout_uri' IS NOT NULL
        AND s.tenant_id = c.tenant_id AND s.model = 'Session' AND s.account_id = ANY (?::uuid[])
        AND s.dead_at IS NULL AND s.expires_at > now() AND a.key = c.client_id AND a.value ->> 'sid' IS NOT NULL`,
    [tenantId, clientId, [...new Set(accountIds)]],
  );
}

/**
 * Takes what is due, each for the time of one attempt: a process that dies leaves it due again.
 * @param attemptSeconds how long nobody else takes it
 */
export async function takeDueLogouts(
  db: Db,
  limit: number,
  attemptSeconds: number,
): Promise<LogoutDelivery[]> {
  const { rows } = await db.raw<{ rows: DeliveryRow[] }>(
    `UPDATE logout_deliveries
        SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => ?::float8), updated_at = now()
      WHERE id = ANY (ARRAY (SELECT id FROM logout_deliveries WHERE next_attempt_at <= now()
                              ORDER BY next_attempt_at LIMIT ? FOR UPDATE SKIP LOCKED))
      RETURNING id, tenant_id, client_id, account_id, sid, attempts`,
    [attemptSeconds, limit],
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
