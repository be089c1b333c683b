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
      WHERE id IN (SELECT id FROM logout_deliveries WHERE next_attempt_at <= now()
                    ORDER BY next_attempt_at LIMIT ? FOR UPDATE SKIP LOCKED)
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
