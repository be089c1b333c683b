import type { Knex } from 'knex';
import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import { findShared, forEachHash } from '../../db/shared-read.ts';
import { ACCOUNT_COLUMNS, ACCOUNT_JOIN, ACCOUNT_ROLES } from './account-read.ts';
import type { AccountColumns } from './account-read.ts';
import { GrantEnded } from './store-errors.ts';
import { hashId, toStored } from './stored-model.ts';
import type { ModelPayload, StoredModel } from './stored-model.ts';
import { placeOf } from './token-slots.ts';

/**
 * The statements on `oidc_models`. Each is one round trip and decides by its row count; none of them
 * clears `consumed_at` or revives a dead row. The model's name stands in the text, so that the planner
 * prunes to one partition; tokens are asked for where they lie (token-slots.ts).
 */

export const COLUMNS = 'id_hash, payload, consumed_at, dead_at';

/**
 * The condition that a row which works once has not expired, by the database's clock: that of a server may be
 * wrong. Rows of refresh tokens outlive them, and a pushed request may be opened in time and answered later.
 */
export function unexpired(model: ModelName): string {
  return model === 'AuthorizationCode' || model === 'Interaction' ? 'AND expires_at > now()' : '';
}

/** A live or consumed row; dead and missing ones are both undefined. */
export async function findModel(
  db: Db,
  tenantId: string,
  model: ModelName,
  id: string,
  lock?: 'for update',
): Promise<StoredModel | undefined> {
  const { table, label, idHash } = placeOf(model, id);
  const { rows } = await prepared<StoredModel>(
    db,
    `oidc_find${lock ? '_lock' : ''}_${label}`,
    `SELECT ${COLUMNS} FROM ${table}
      WHERE tenant_id = ? AND model = '${model}' AND id_hash = ? AND dead_at IS NULL ${unexpired(model)} ${lock ?? ''}`,
    [tenantId, idHash],
  );
  return rows[0];
}

/** A pause of an authorization request, with the person who has signed in at it. */
export async function findInteraction(
  db: Db,
  tenantId: string,
  id: string,
  lock?: 'for update',
): Promise<(StoredModel & AccountColumns) | undefined> {
  const { rows } = await prepared<StoredModel & AccountColumns>(
    db,
    `oidc_interaction${lock ? '_lock' : ''}`,
    `SELECT i.id_hash, i.payload, i.consumed_at, i.dead_at, i.xmin::text AS version, ${ACCOUNT_COLUMNS}
       FROM oidc_models i
       ${ACCOUNT_JOIN('i')}
      WHERE i.tenant_id = ? AND i.model = 'Interaction' AND i.id_hash = ? AND i.dead_at IS NULL AND i.expires_at > now()
      ${lock ? 'FOR UPDATE OF i' : ''}`,
    [tenantId, hashId(id)],
  );
  return rows[0];
}

/**
 * A token together with its grant, where it ends with a session that session, and the person: without their
 * columns where nobody is going to ask for them.
 */
export async function findFamily(
  db: Db,
  tenantId: string,
  model: ModelName,
  id: string,
  { withAccount = true }: { withAccount?: boolean | undefined } = {},
): Promise<FamilyRow | undefined> {
  const { table, label, idHash } = placeOf(model, id);
  return findShared<FamilyRow>(db, {
    name: `oidc_family_${label}${withAccount ? '' : '_alone'}`,
    sql: (hash) => `SELECT t.id_hash, t.payload, t.consumed_at, t.dead_at,
            extract(epoch FROM clock_timestamp() - t.consumed_at)::float8 AS consumed_seconds_ago,
            g.payload AS grant_payload, g.id_hash AS grant_id_hash, s.payload AS session_payload, s.id_hash AS session_id_hash
            ${withAccount ? `, ${ACCOUNT_COLUMNS}, ${ACCOUNT_ROLES}` : ''}
       FROM ${table} t
       JOIN oidc_models g ON g.tenant_id = t.tenant_id AND g.model = 'Grant' AND g.id_hash = t.grant_hash AND g.dead_at IS NULL
       LEFT JOIN oidc_models s ON s.tenant_id = t.tenant_id AND s.model = 'Session' AND s.session_uid = t.session_uid AND s.dead_at IS NULL AND s.expires_at > now()
       ${withAccount ? ACCOUNT_JOIN('t') : ''}
      WHERE t.id_hash = ${hash} AND t.tenant_id = ? AND t.model = '${model}' AND t.dead_at IS NULL`,
    tenantId,
    idHash,
  });
}

/** The id among the candidates whose refresh token is alive and unused. */
export async function findUnusedRefreshToken(
  db: Db,
  tenantId: string,
  candidates: readonly string[],
): Promise<string | undefined> {
  const hashes = candidates.map(hashId);
  const { rows } = await prepared<{ id_hash: Buffer }>(
    db,
    'oidc_find_successor',
    forEachHash(
      (hash) => `SELECT id_hash FROM oidc_models
      WHERE id_hash = ${hash} AND tenant_id = ? AND model = 'RefreshToken' AND consumed_at IS NULL AND dead_at IS NULL`,
    ),
    [hashes, tenantId],
  );
  const found = rows[0]?.id_hash;
  return found && candidates[hashes.findIndex((hash) => hash.equals(found))];
}

/**
 * Inserts or updates. A row that belongs to a grant is written only while that grant lives, so a token
 * issued while its family is being revoked cannot survive it.
 * @param sessionUid of a new grant the session it belongs to
 * @throws GrantEnded when the row or its grant is dead
 */
export async function saveModel(
  db: Db,
  tenantId: string,
  model: ModelName,
  id: string,
  payload: ModelPayload,
  expiresInSeconds: number,
  sessionUid?: string,
): Promise<void> {
  const grantHash = grantHashOf(model, payload);
  const { rowCount } = await prepared(
    db,
    `oidc_save_${model}${grantHash ? '_bound' : ''}`,
    `${insertOf(model)}
     ${grantHash ? `WHERE ${LIVE_GRANT}` : ''}
     ON CONFLICT (tenant_id, model, id_hash) DO UPDATE
       SET payload = excluded.payload, expires_at = excluded.expires_at, updated_at = now()
       WHERE oidc_models.dead_at IS NULL`,
    [
      ...rowOf(tenantId, model, id, payload, expiresInSeconds, sessionUid),
      ...(grantHash ? [tenantId, grantHash] : []),
    ],
  );
  if (rowCount === 0) throw new GrantEnded();
}

/** Of a token, the grant it belongs to; an interaction only names one. */
export function grantHashOf(model: ModelName, payload: ModelPayload): Buffer | null {
  return payload.grantId && model !== 'Interaction' ? hashId(payload.grantId) : null;
}

/** Takes the tenant and the grant's hash. */
export const LIVE_GRANT = `EXISTS (SELECT 1 FROM oidc_models
  WHERE tenant_id = ?::uuid AND model = 'Grant' AND id_hash = ?::bytea AND dead_at IS NULL)`;

/** Takes `rowOf`. A row keeps its session for life. */
export function insertOf(model: ModelName): string {
  return `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, grant_hash, session_uid, account_id, client_id, expires_at)
     SELECT ?::uuid, '${model}', ?::bytea, ?::jsonb, ?::bytea, ?::text, ?::uuid, ?::text, now() + make_interval(secs => ?::float8)`;
}

export function rowOf(
  tenantId: string,
  model: ModelName,
  id: string,
  payload: ModelPayload,
  expiresInSeconds: number,
  sessionUid: string | null = sessionOf(model, payload),
): Knex.RawBinding[] {
  return [
    tenantId,
    hashId(id),
    toStored(payload),
    grantHashOf(model, payload),
    sessionUid,
    payload.accountId ?? null,
    payload.clientId ?? null,
    expiresInSeconds,
  ];
}

/** The session's own row, or of a token the session it ends with. */
function sessionOf(model: ModelName, payload: ModelPayload): string | null {
  if (model === 'Session') return payload.uid ?? null;
  return payload.expiresWithSession ? (payload.sessionUid ?? null) : null;
}

/** Marks as used. @returns whether this call did it */
export async function consumeModel(db: Db, tenantId: string, model: ModelName, id: string): Promise<boolean> {
  const { table, label, idHash } = placeOf(model, id);
  const { rowCount } = await prepared(
    db,
    `oidc_consume_${label}`,
    `UPDATE ${table} SET consumed_at = clock_timestamp(), updated_at = now()
      WHERE tenant_id = ? AND model = '${model}' AND id_hash = ? AND consumed_at IS NULL AND dead_at IS NULL ${unexpired(model)}`,
    [tenantId, idHash],
  );
  return rowCount === 1;
}

/** Leaves a tombstone until the row would have expired. @returns the row if this call killed it */
export async function killModel(
  db: Db,
  tenantId: string,
  model: ModelName,
  id: string,
): Promise<{ account_id: string | null; client_id: string | null } | undefined> {
  const { table, label, idHash } = placeOf(model, id);
  const { rows } = await prepared<{ account_id: string | null; client_id: string | null }>(
    db,
    `oidc_kill_${label}`,
    `UPDATE ${table} SET dead_at = clock_timestamp(), updated_at = now()
      WHERE tenant_id = ? AND model = '${model}' AND id_hash = ? AND dead_at IS NULL
      RETURNING account_id, client_id`,
    [tenantId, idHash],
  );
  return rows[0];
}

export const MODEL_NAMES = [
  'AccessToken',
  'AuthorizationCode',
  'ClientCredentials',
  'Grant',
  'Interaction',
  'PushedAuthorizationRequest',
  'RefreshToken',
  'Session',
] as const;

export type ModelName = (typeof MODEL_NAMES)[number];

export interface FamilyRow extends StoredModel, AccountColumns {
  consumed_seconds_ago: number | null;
  grant_payload: ModelPayload;
  grant_id_hash: Buffer;
  session_payload: ModelPayload | null;
  session_id_hash: Buffer | null;
}
