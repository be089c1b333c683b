import { errors } from 'oidc-provider';
import type { AdapterDeps, ModelAdapter } from './adapter-factory.ts';
import { holdGate } from './family-gate.ts';
import { consumeModel, findFamily, findUnusedRefreshToken, killModel, saveModel } from './model-store.ts';
import type { FamilyRow } from './model-store.ts';
import { successorIds } from './refresh-successor.ts';
import { fromStored, hasForeignPrefix } from './stored-model.ts';
import type { StoredModel } from './stored-model.ts';
import { currentUnitOfWork } from './unit-of-work.ts';
import type { UnitOfWork } from './unit-of-work.ts';

type FamilyModel = 'AuthorizationCode' | 'RefreshToken' | 'AccessToken';

/**
 * Tokens that belong to a grant. At the token endpoint the first read locks the grant, so that of many
 * requests with one code or refresh token exactly one goes on and the others see what it did. Everywhere
 * a token whose grant is dead is not found.
 */
export function familyAdapter(model: FamilyModel, deps: AdapterDeps): ModelAdapter {
  const { db, tenantId } = deps;

  return {
    async find(id) {
      if (hasForeignPrefix(model, id)) return undefined;
      const unit = currentUnitOfWork();
      const locks = unit?.kind === 'token' && model !== 'AccessToken';
      // Before the transaction is opened: those who wait for their turn hold no connection.
      if (locks) await holdGate(unit, `${tenantId}:${id}`);

      const reader = locks ? await unit.transaction() : ((await unit?.reader()) ?? db);
      const row = await findFamily(reader, tenantId, model, id, locks);
      if (!row) return undefined;
      if (unit) rememberFamily(unit, row);
      if (locks && model === 'RefreshToken') return findRefreshToken(unit, id, row, deps);
      if (locks && row.consumed_at) noteReuse(unit, row);
      return fromStored(id, row);
    },

    async save(id, payload, expiresInSeconds) {
      const unit = currentUnitOfWork();
      if (model === 'RefreshToken' && unit?.repeatedSuccessorId === id) return;

      // A used refresh token must stay known for as long as its family can live, or its reuse would look
      // like a token that never existed.
      const keptSeconds =
        model === 'RefreshToken' ? Math.max(expiresInSeconds, deps.refreshAbsoluteSeconds) : expiresInSeconds;
      await saveModel((await unit?.writer()) ?? db, tenantId, model, id, payload, keptSeconds);
    },

    async consume(id) {
      const unit = currentUnitOfWork();
      if (unit?.repeatedSuccessorId) return;
      if (await consumeModel((await unit?.writer()) ?? db, tenantId, model, id)) return;
      throw new errors.InvalidGrant('already used');
    },

    async destroy(id) {
      await killModel((await currentUnitOfWork()?.writer()) ?? db, tenantId, model, id);
    },
  };
}

/**
 * A used refresh token is presented again: either a client that lost the answer (within the grace
 * window, and the successor still unused: it gets the same successor), or a theft.
 */
async function findRefreshToken(unit: UnitOfWork, id: string, row: FamilyRow, deps: AdapterDeps) {
  unit.rotatedTokenId = id;
  if (row.consumed_at === null) return fromStored(id, row);

  if ((row.consumed_seconds_ago ?? Number.POSITIVE_INFINITY) < deps.refreshGraceSeconds) {
    const successorId = await findUnusedRefreshToken(
      await unit.transaction(),
      deps.tenantId,
      successorIds(deps.keyRing, id),
    );
    if (successorId) {
      unit.repeatedSuccessorId = successorId;
      return fromStored(id, { ...row, consumed_at: null });
    }
  }

  noteReuse(unit, row);
  return fromStored(id, row);
}

function noteReuse(unit: UnitOfWork, row: FamilyRow): void {
  const { grantId, clientId } = row.payload;
  if (grantId && clientId) unit.reused = { grantId, clientId };
}

function rememberFamily(unit: UnitOfWork, row: FamilyRow): void {
  const { grantId, sessionUid, expiresWithSession } = row.payload;
  if (grantId) unit.grants.set(grantId, alive(row.grant_id_hash, row.grant_payload));
  if (sessionUid && expiresWithSession) {
    const session =
      row.session_payload && row.session_id_hash && alive(row.session_id_hash, row.session_payload);
    unit.sessions.set(sessionUid, session ?? undefined);
  }
}

function alive(id_hash: Buffer, payload: StoredModel['payload']): StoredModel {
  return { id_hash, payload, consumed_at: null, dead_at: null };
}
