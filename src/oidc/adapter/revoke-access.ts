import type { Db } from '../../db/database.ts';
import { enqueueLogout } from './logout-deliveries.ts';
import type { ModelPayload } from './stored-model.ts';

/**
 * Ends what a person or a client may do, at once and on every replica: sessions first, then grants, the
 * order in which requests under way lock them.
 */
export async function revokeUserAccess(trx: Db, tenantId: string, userId: string): Promise<void> {
  const { rows } = await trx.raw<{ rows: { payload: ModelPayload }[] }>(
    `UPDATE oidc_models SET dead_at = clock_timestamp(), updated_at = now()
      WHERE tenant_id = ? AND model = 'Session' AND id_hash IN (
        SELECT id_hash FROM oidc_models
         WHERE tenant_id = ? AND model = 'Session' AND account_id = ? AND dead_at IS NULL
         ORDER BY id_hash FOR UPDATE)
      RETURNING payload`,
    [tenantId, tenantId, userId],
  );
  await killGrants(trx, tenantId, 'account_id', userId);
  for (const { payload } of rows) {
    for (const [clientId, { sid }] of authorizationsOf(payload)) {
      await enqueueLogout(trx, tenantId, { clientId, accountId: userId, sid });
    }
  }
}

export async function revokeClientAccess(trx: Db, tenantId: string, clientId: string): Promise<void> {
  await killGrants(trx, tenantId, 'client_id', clientId);
}

async function killGrants(trx: Db, tenantId: string, column: 'account_id' | 'client_id', value: string) {
  await trx.raw(
    `UPDATE oidc_models SET dead_at = clock_timestamp(), updated_at = now()
      WHERE tenant_id = ? AND model = 'Grant' AND id_hash IN (
        SELECT id_hash FROM oidc_models
         WHERE tenant_id = ? AND model = 'Grant' AND ${column} = ? AND dead_at IS NULL
         ORDER BY id_hash FOR UPDATE)`,
    [tenantId, tenantId, value],
  );
}

function authorizationsOf(payload: ModelPayload): [string, { sid?: string }][] {
  const { authorizations } = payload;
  if (typeof authorizations !== 'object' || authorizations === null) return [];
  return Object.entries(authorizations);
}
