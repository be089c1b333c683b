import { errors } from 'oidc-provider';
import { toAccount } from './account-read.ts';
import type { AdapterDeps, ModelAdapter } from './adapter-factory.ts';
import { inserted, isLiveGrant } from './deferred-models.ts';
import { holdGate } from './family-gate.ts';
import { recordTokenRevoked } from './token-events.ts';
import { consumeModel, findFamily, findUnusedRefreshToken, killModel, saveModel } from './model-store.ts';
import type { FamilyRow } from './model-store.ts';
import { possibleSuccessorIds } from './refresh-successor.ts';
import { isTouchDue } from './session-touch.ts';
import { fromStored, hasForeignPrefix } from './stored-model.ts';
import type { ModelPayload, StoredModel } from './stored-model.ts';
import { currentUnitOfWork } from './unit-of-work.ts';
import type { UnitOfWork } from './unit-of-work.ts';

type FamilyModel = 'AuthorizationCode' | 'RefreshToken' | 'AccessToken';

/**
 * Tokens that belong to a grant; one whose grant is dead is not found. At the token endpoint nothing is
 * written before the answer is ready: then one statement uses up the code or refresh token and stores what
 * it gave, and of many requests exactly one does (token-writes.ts, settle-tokens.ts).
 */
export function familyAdapter(model: FamilyModel, deps: AdapterDeps): ModelAdapter {
  const { db, tenantId } = deps;

  return {
    async find(id) {
      if (hasForeignPrefix(model, id)) return undefined;
      const unit = currentUnitOfWork();
      const isSource = unit?.kind === 'token' && model !== 'AccessToken';
      if (isSource) await holdGate(unit, `${tenantId}:${id}`);

      const row = await findFamily((await unit?.reader()) ?? db, tenantId, model, id, {
        withAccount: unit?.asksForAccounts,
      });
      if (!row) return undefined;
      if (unit) rememberFamily(unit, row);
      if (isSource && row.payload.grantId) unit.source = { id, grantId: row.payload.grantId };
      if (isSource && model === 'RefreshToken') {
        noteUse(unit, row, deps);
        return findRefreshToken(unit, id, row, deps);
      }
      if (isSource && row.consumed_at) noteReuse(unit, row);
      return fromStored(id, row);
    },

    async save(id, payload, expiresInSeconds) {
      const unit = currentUnitOfWork();
      if (model === 'RefreshToken' && unit?.repeatedSuccessorId === id) return;

      const keptSeconds =
        model === 'RefreshToken'
          ? Math.max(expiresInSeconds, chainSeconds(payload, deps.refreshAbsoluteSeconds))
          : expiresInSeconds;
      if (unit?.kind === 'token')
        unit.pending.saves.push({ model, id, payload, expiresInSeconds: keptSeconds });
      else if (unit?.isOptimistic) deferSave(unit, id, payload, keptSeconds);
      else await saveModel((await unit?.writer()) ?? db, tenantId, model, id, payload, keptSeconds);
    },

    async consume(id) {
      const unit = currentUnitOfWork();
      if (unit?.repeatedSuccessorId) return;
      if (unit?.source?.id === id) unit.pending.consumed = { model, ...unit.source };
      else if (!(await consumeModel((await unit?.writer()) ?? db, tenantId, model, id))) {
        throw new errors.InvalidGrant('already used');
      }
    },

    async destroy(id) {
      const unit = currentUnitOfWork();
      const writer = (await unit?.writer()) ?? db;
      const killed = await killModel(writer, tenantId, model, id);
      // The end of a code or refresh token is the end of its grant, which is recorded as such.
      if (killed && unit && model === 'AccessToken') await recordTokenRevoked(writer, unit.actor, id, killed);
    },
  };

  function deferSave(unit: UnitOfWork, id: string, payload: ModelPayload, expiresInSeconds: number): void {
    const { grantId } = payload;
    // A grant of the same statement cannot be seen by it.
    if (grantId && grantId !== unit.newGrantId) unit.deferred.guard('grant', isLiveGrant(tenantId, grantId));
    unit.deferred.write(model, inserted(tenantId, model, id, payload, expiresInSeconds));
  }
}

/**
 * A used refresh token is presented again: either a client that lost the answer (within the grace
 * window, and the successor still unused: it gets the same successor), or a theft.
 */
async function findRefreshToken(unit: UnitOfWork, id: string, row: FamilyRow, deps: AdapterDeps) {
  unit.rotatedTokenId = id;
  if (row.consumed_at === null) return fromStored(id, row);

  unit.repeatedSuccessorId = await successorWithinGrace(unit, id, row, deps);
  if (unit.repeatedSuccessorId !== undefined) return fromStored(id, { ...row, consumed_at: null });
  noteReuse(unit, row);
  return fromStored(id, row);
}

/** The unused successor of a refresh token that was used a moment ago. */
export async function successorWithinGrace(
  unit: UnitOfWork,
  id: string,
  row: Pick<FamilyRow, 'consumed_seconds_ago'>,
  {
    tenantId,
    keyRing,
    refreshGraceSeconds,
  }: Pick<AdapterDeps, 'tenantId' | 'keyRing' | 'refreshGraceSeconds'>,
): Promise<string | undefined> {
  if ((row.consumed_seconds_ago ?? Number.POSITIVE_INFINITY) >= refreshGraceSeconds) return undefined;
  return findUnusedRefreshToken(await unit.reader(), tenantId, possibleSuccessorIds(keyRing, id));
}

/**
 * A used refresh token must stay known for as long as a token that came from it can live, or its reuse
 * would look like a token that never existed.
 */
function chainSeconds({ iat = 0, iiat = iat }: ModelPayload, refreshAbsoluteSeconds: number): number {
  return iiat + refreshAbsoluteSeconds - iat;
}

/** A session that no browser holds is used by this, if what comes of it is stored. */
function noteUse(
  unit: UnitOfWork,
  { payload: { sessionUid }, session_payload: session }: FamilyRow,
  { sessionIdleSeconds: idleSeconds, sessionAbsoluteSeconds: absoluteSeconds }: AdapterDeps,
): void {
  if (sessionUid === undefined || !isTouchDue(session, idleSeconds)) return;
  const { ip, userAgent } = unit.actor;
  unit.pending.touched = { sessionUid, idleSeconds, absoluteSeconds, ip, userAgent };
}

function noteReuse(unit: UnitOfWork, row: FamilyRow): void {
  const { grantId, clientId } = row.payload;
  if (grantId && clientId) unit.reused = { grantId, clientId };
}

function rememberFamily(unit: UnitOfWork, row: FamilyRow): void {
  const { grantId, sessionUid, expiresWithSession, accountId } = row.payload;
  if (grantId) unit.grants.set(grantId, alive(row.grant_id_hash, row.grant_payload));
  if (accountId && unit.asksForAccounts) unit.accounts.set(accountId, toAccount(row));
  if (sessionUid && expiresWithSession) {
    const session =
      row.session_payload && row.session_id_hash && alive(row.session_id_hash, row.session_payload);
    unit.sessions.set(sessionUid, session ?? undefined);
  }
}

function alive(id_hash: Buffer, payload: StoredModel['payload']): StoredModel {
  return { id_hash, payload, consumed_at: null, dead_at: null };
}
