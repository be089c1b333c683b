import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import type { StoredModel } from '../oidc/adapter/stored-model.ts';
import { hashId } from '../oidc/adapter/stored-model.ts';
import type { SealedLoginState } from './login-state.ts';

/** The engine's interaction and where its sign-in stands, which every screen and every answer needs, in one read. */
export async function readInteraction(
  db: Db,
  tenantId: string,
  uid: string,
): Promise<{ stored: StoredModel; state: SealedLoginState | undefined } | undefined> {
  const { rows } = await prepared<
    StoredModel & { [Column in keyof SealedLoginState]: SealedLoginState[Column] | null }
  >(
    db,
    'interaction-read',
    `SELECT i.id_hash, i.payload, i.consumed_at, i.dead_at, i.xmin::text AS version,
            s.state_sealed, extract(epoch FROM now() - s.created_at)::float8 AS age_seconds
       FROM oidc_models i
       LEFT JOIN login_states s ON s.tenant_id = i.tenant_id AND s.id_hash = i.id_hash AND s.expires_at > now()
      WHERE i.tenant_id = ? AND i.model = 'Interaction' AND i.id_hash = ? AND i.dead_at IS NULL AND i.expires_at > now()`,
    [tenantId, hashId(uid)],
  );
  const [row] = rows;
  if (!row) return undefined;
  const { state_sealed, age_seconds, ...stored } = row;
  const state = state_sealed !== null && age_seconds !== null ? { state_sealed, age_seconds } : undefined;
  return { stored, state };
}
