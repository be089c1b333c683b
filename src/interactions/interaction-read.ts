import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { isId } from '../lib/ids.ts';
import { ACCOUNT_COLUMNS, toAccount } from '../oidc/adapter/account-read.ts';
import type { AccountColumns, StoredAccount } from '../oidc/adapter/account-read.ts';
import type { StoredModel } from '../oidc/adapter/stored-model.ts';
import { hashId } from '../oidc/adapter/stored-model.ts';
import { MOST_ACCOUNTS } from './known-accounts.ts';
import type { SealedLoginState } from './login-state.ts';

export interface InteractionRead {
  stored: StoredModel;
  state: SealedLoginState | undefined;
  /** In no particular order. */
  people: StoredAccount[];
}

type Row = StoredModel & {
  [Column in keyof SealedLoginState]: SealedLoginState[Column] | null;
} & AccountColumns;

/**
 * The engine's interaction and where its sign-in stands, which every screen and every answer needs, in one read.
 * @param people ids of whom to read along, as many as a browser remembers; one that is no UUID is that of nobody
 * @param endedSeconds one that has ended is found as well, if no longer ago than this; undefined: never
 */
export async function readInteraction(
  db: Db,
  tenantId: string,
  uid: string,
  people: readonly string[],
  endedSeconds?: number,
): Promise<InteractionRead | undefined> {
  const { rows } = await prepared<Row>(
    db,
    'interaction-read',
    `SELECT i.id_hash, i.payload, i.consumed_at, i.dead_at, i.xmin::text AS version,
            s.state_sealed, extract(epoch FROM now() - s.created_at)::float8 AS age_seconds, ${ACCOUNT_COLUMNS}
       FROM oidc_models i
       LEFT JOIN login_states s ON s.tenant_id = i.tenant_id AND s.id_hash = i.id_hash AND s.expires_at > now()
       LEFT JOIN (SELECT id FROM unnest(?::uuid[]) AS remembered (id) LIMIT ${MOST_ACCOUNTS}) known ON true
       LEFT JOIN users u ON u.tenant_id = i.tenant_id AND u.id = known.id AND u.deleted_at IS NULL
       LEFT JOIN user_profiles p ON p.user_id = u.id
      WHERE i.tenant_id = ? AND i.model = 'Interaction' AND i.id_hash = ? AND i.expires_at > now()
        AND (i.dead_at IS NULL OR i.dead_at > now() - make_interval(secs => ?::float8))`,
    [people.filter(isId), tenantId, hashId(uid), endedSeconds ?? null],
  );
  const [row] = rows;
  if (!row) return undefined;
  const { id_hash, payload, consumed_at, dead_at, version, state_sealed, age_seconds } = row;
  return {
    stored: { id_hash, payload, consumed_at, dead_at, ...(version !== undefined && { version }) },
    state: state_sealed !== null && age_seconds !== null ? { state_sealed, age_seconds } : undefined,
    people: rows.map(toAccount).filter((account) => account !== undefined),
  };
}
