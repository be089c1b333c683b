import { ALL_HOLD } from './deferred-writes.ts';
import type { StatementPart } from './deferred-writes.ts';
import { insertOf, LIVE_GRANT, rowOf } from './model-store.ts';
import type { ModelName } from './model-store.ts';
import { hashId, toStored } from './stored-model.ts';
import type { ModelPayload } from './stored-model.ts';

/** Guards and writes of `oidc_models` for requests that lock nothing when they read. */

const ROW = (model: ModelName) => `tenant_id = ?::uuid AND model = '${model}' AND id_hash = ?::bytea`;

/** Enough for what only belongs to a session: it may change, but must not have ended. */
export function isAlive(tenantId: string, model: 'Session', id: string): StatementPart {
  return {
    name: `${model}?`,
    sql: `SELECT 1 FROM oidc_models WHERE ${ROW(model)} AND dead_at IS NULL`,
    bindings: [tenantId, hashId(id)],
  };
}

/** For whoever changes or ends it: as it was read, and nobody else's until this is done. */
export function isUnchanged(
  tenantId: string,
  model: 'Session' | 'Interaction',
  id: string,
  version: string,
): StatementPart {
  return {
    name: `${model}=`,
    sql: `SELECT 1 FROM oidc_models WHERE ${ROW(model)} AND dead_at IS NULL AND xmin = ?::xid FOR UPDATE`,
    bindings: [tenantId, hashId(id), version],
  };
}

export function isLiveGrant(tenantId: string, id: string): StatementPart {
  return { name: 'Grant?', sql: `SELECT 1 WHERE ${LIVE_GRANT}`, bindings: [tenantId, hashId(id)] };
}

/** A row that nobody else can have inserted. @param sessionUid of a grant the session it belongs to */
export function inserted(
  tenantId: string,
  model: ModelName,
  id: string,
  payload: ModelPayload,
  expiresInSeconds: number,
  sessionUid?: string,
): StatementPart {
  return {
    name: `+${model}`,
    sql: `${insertOf(model)} WHERE ${ALL_HOLD}`,
    bindings: rowOf(tenantId, model, id, payload, expiresInSeconds, sessionUid),
    // A sign-in that has just begun begins again.
    mayBeLost: model === 'Interaction',
  };
}

/** @param accountId whose it is */
export function updated(
  tenantId: string,
  model: 'Interaction',
  { id, accountId }: { id: string; accountId: string | undefined },
  payload: ModelPayload,
  expiresInSeconds: number,
): StatementPart {
  return {
    name: model,
    sql: `UPDATE oidc_models
        SET payload = ?::jsonb, account_id = ?::uuid, expires_at = now() + make_interval(secs => ?::float8), updated_at = now()
      WHERE ${ROW(model)} AND ${ALL_HOLD}`,
    bindings: [toStored(payload), accountId ?? null, expiresInSeconds, tenantId, hashId(id)],
  };
}

export function ended(tenantId: string, model: 'Interaction', id: string): StatementPart {
  return {
    name: `-${model}`,
    sql: `UPDATE oidc_models SET dead_at = clock_timestamp(), updated_at = now() WHERE ${ROW(model)} AND ${ALL_HOLD}`,
    bindings: [tenantId, hashId(id)],
  };
}
