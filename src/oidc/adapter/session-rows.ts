import type { Knex } from 'knex';
import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import { ledgerEnd, ledgerEntry, ledgerEntryUnder } from '../../sessions/ledger-statements.ts';
import type { SessionEndReason } from '../../sessions/session.ts';
import { ACCOUNT_COLUMNS, ACCOUNT_JOIN } from './account-read.ts';
import type { AccountColumns } from './account-read.ts';
import { ALL_HOLD } from './deferred-writes.ts';
import type { StatementPart } from './deferred-writes.ts';
import { COLUMNS } from './model-store.ts';
import { GrantEnded, StoreUnavailable } from './store-errors.ts';
import { hashId, toStored } from './stored-model.ts';
import type { ModelPayload, StoredModel } from './stored-model.ts';

/**
 * The statements on browser sessions. One that belongs to somebody is written together with its entry in the
 * ledger, which also tells when it ends: idle or absolute, by the database's clock.
 */
export interface SessionRow extends StoredModel, AccountColumns {
  grant_payload: ModelPayload | null;
  grant_id_hash: Buffer | null;
}

/** A session to be written, and who sent the request that changes it. */
export interface SessionWrite {
  id: string;
  payload: ModelPayload;
  idleSeconds: number;
  absoluteSeconds: number;
  ip: string | undefined;
  userAgent: string | undefined;
}

const IDLE_END = 'now() + make_interval(secs => ?::float8)';
const LIVE = "model = 'Session' AND dead_at IS NULL AND expires_at > now()";

/** Whoever only asks for it: neither the person nor a grant is read. */
export async function findPlainSession(
  db: Db,
  tenantId: string,
  id: string,
): Promise<StoredModel | undefined> {
  const { rows } = await prepared<StoredModel>(
    db,
    'oidc_find_plain_session',
    `SELECT ${COLUMNS} FROM oidc_models WHERE tenant_id = ? AND id_hash = ? AND ${LIVE}`,
    [tenantId, hashId(id)],
  );
  return rows[0];
}

/**
 * The browser's session together with the person and the grant it has with a client: what an authorization
 * request asks for.
 */
export async function findSession(
  db: Db,
  tenantId: string,
  id: string,
  clientId: string | undefined,
  lock?: 'for update',
): Promise<SessionRow | undefined> {
  const { rows } = await prepared<SessionRow>(
    db,
    `oidc_session${lock ? '_lock' : ''}`,
    `SELECT s.id_hash, s.payload, s.consumed_at, s.dead_at, s.xmin::text AS version, g.payload AS grant_payload, g.id_hash AS grant_id_hash, ${ACCOUNT_COLUMNS}
       FROM oidc_models s
       ${ACCOUNT_JOIN('s')}
       LEFT JOIN oidc_models g ON g.tenant_id = s.tenant_id AND g.model = 'Grant' AND g.dead_at IS NULL
             AND g.id_hash = sha256(convert_to(s.payload #>> ARRAY['authorizations', ?::text, 'grantId'], 'UTF8'))
      WHERE s.tenant_id = ? AND s.model = 'Session' AND s.id_hash = ? AND s.dead_at IS NULL AND s.expires_at > now()
      ${lock ? 'FOR UPDATE OF s' : ''}`,
    [clientId ?? null, tenantId, hashId(id)],
  );
  return rows[0];
}

export async function findSessionByUid(
  db: Db,
  tenantId: string,
  uid: string,
): Promise<StoredModel | undefined> {
  const { rows } = await prepared<StoredModel>(
    db,
    'oidc_find_session_by_uid',
    `SELECT ${COLUMNS} FROM oidc_models WHERE tenant_id = ? AND session_uid = ? AND ${LIVE}`,
    [tenantId, uid],
  );
  return rows[0];
}

/** @throws GrantEnded when the session has ended */
export async function insertSession(db: Db, tenantId: string, session: SessionWrite): Promise<void> {
  const { name, before, sql, bindings } = sessionInserted(tenantId, session, 'true');
  const { rowCount } = await prepared(
    db,
    `oidc_insert${name}`,
    `${before === undefined ? '' : `WITH ${before}`} ${sql}
     ON CONFLICT (tenant_id, model, id_hash) DO UPDATE
       SET payload = excluded.payload, expires_at = excluded.expires_at, updated_at = now()
       WHERE oidc_models.dead_at IS NULL`,
    bindings,
  );
  if (rowCount === 0) throw new GrantEnded();
}

/** @param oldId what the session was known by until now; the row is locked by whoever calls */
export async function updateSession(
  db: Db,
  tenantId: string,
  oldId: string,
  session: SessionWrite,
): Promise<void> {
  const { name, before, sql, bindings } = sessionUpdated(tenantId, oldId, session, 'true');
  const { rowCount } = await prepared(
    db,
    `oidc_update${name}`,
    `${before === undefined ? '' : `WITH ${before}`} ${sql}`,
    bindings,
  );
  // The row was locked when it was read, so this cannot happen while the lock holds.
  if (rowCount !== 1) throw new StoreUnavailable(new Error('the session row is gone under its lock'));
}

/** @param condition under which it is written */
export function sessionInserted(
  tenantId: string,
  session: SessionWrite,
  condition: string = ALL_HOLD,
): StatementPart {
  const { id, payload, idleSeconds } = session;
  const isEntered = payload.accountId !== undefined;
  return {
    name: `+Session${isEntered ? '+' : ''}`,
    before: isEntered ? ledgerEntryUnder(condition) : undefined,
    sql: `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, session_uid, account_id, expires_at)
      SELECT ?::uuid, 'Session', ?::bytea, ?::jsonb, ?::text, ?::uuid, ${isEntered ? 'ends_at FROM ledger' : `${IDLE_END} WHERE ${condition}`}`,
    bindings: [
      ...(isEntered ? entryOf(tenantId, session) : []),
      tenantId,
      hashId(id),
      toStored(payload),
      payload.uid ?? null,
      payload.accountId ?? null,
      ...(isEntered ? [] : [idleSeconds]),
    ],
  };
}

/**
 * @param oldId what the session was known by until now
 * @param condition under which it is written
 */
export function sessionUpdated(
  tenantId: string,
  oldId: string,
  session: SessionWrite,
  condition: string = ALL_HOLD,
): StatementPart {
  const { id, payload, idleSeconds } = session;
  const isEntered = payload.accountId !== undefined;
  return {
    name: `Session${isEntered ? '+' : ''}`,
    before: isEntered ? ledgerEntryUnder(condition) : undefined,
    sql: `UPDATE oidc_models
        SET id_hash = ?::bytea, payload = ?::jsonb, account_id = ?::uuid, updated_at = now(),
            expires_at = ${isEntered ? 'ledger.ends_at FROM ledger' : IDLE_END}
      WHERE tenant_id = ?::uuid AND model = 'Session' AND id_hash = ?::bytea AND dead_at IS NULL AND ${condition}`,
    bindings: [
      ...(isEntered ? entryOf(tenantId, session) : []),
      hashId(id),
      toStored(payload),
      payload.accountId ?? null,
      ...(isEntered ? [] : [idleSeconds]),
      tenantId,
      hashId(oldId),
    ],
  };
}

/** Leaves a tombstone until the session would have ended. @returns whose it was, if this call ended it */
export async function killSession(
  db: Db,
  tenantId: string,
  id: string,
  reason: SessionEndReason,
): Promise<{ account_id: string | null } | undefined> {
  const { rows } = await prepared<{ account_id: string | null }>(
    db,
    'oidc_kill_session',
    `WITH killed AS (
       UPDATE oidc_models SET dead_at = clock_timestamp(), updated_at = now()
        WHERE tenant_id = ? AND model = 'Session' AND id_hash = ? AND dead_at IS NULL
       RETURNING tenant_id, session_uid, account_id),
     ${ledgerEnd('killed')}
     SELECT account_id FROM killed`,
    [tenantId, hashId(id), reason],
  );
  return rows[0];
}

function entryOf(
  tenantId: string,
  { payload, idleSeconds, absoluteSeconds, ip, userAgent }: SessionWrite,
): Knex.RawBinding[] {
  const { amr, loginTs, authorizations } = payload;
  return ledgerEntry({
    tenantId,
    userId: payload.accountId ?? '',
    sessionUid: payload.uid ?? '',
    ip,
    userAgent,
    methods: Array.isArray(amr) ? amr.map(String) : [],
    clientIds:
      typeof authorizations === 'object' && authorizations !== null ? Object.keys(authorizations) : [],
    loginTs: typeof loginTs === 'number' ? loginTs : null,
    idleSeconds,
    absoluteSeconds,
  });
}
