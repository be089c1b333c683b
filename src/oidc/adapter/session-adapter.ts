import { recordEvent } from '../../events/record-event.ts';
import { toAccount } from './account-read.ts';
import type { AdapterDeps, ModelAdapter } from './adapter-factory.ts';
import { isAlive, isUnchanged } from './deferred-models.ts';
import {
  findPlainSession,
  findSession,
  findSessionByUid,
  insertSession,
  killSession,
  sessionInserted,
  sessionUpdated,
  updateSession,
} from './session-rows.ts';
import { touchSeconds } from './session-touch.ts';
import type { SessionRow } from './session-rows.ts';
import { fromStored, hashId } from './stored-model.ts';
import type { ModelPayload } from './stored-model.ts';
import { currentUnitOfWork } from './unit-of-work.ts';
import type { UnitOfWork } from './unit-of-work.ts';

/**
 * The browser's session. What an authorization request writes stands only if the session is then as it was
 * read; otherwise, and at logout, its row is locked for as long as the request runs. So a request under way
 * cannot undo a logout, and parallel tabs lose nothing. The row keeps its uid for life; a new id replaces
 * the old one in place.
 */
export function sessionAdapter({ db, tenantId, sessionAbsoluteSeconds }: AdapterDeps): ModelAdapter {
  return {
    async find(id) {
      const unit = currentUnitOfWork();
      if (unit?.kind !== 'browser') {
        const stored = await findPlainSession((await unit?.reader()) ?? db, tenantId, id);
        return stored && fromStored(id, stored);
      }

      const stored = unit.isOptimistic
        ? await findSession(await unit.reader(), tenantId, id, unit.clientId)
        : await findSession(await unit.transaction(), tenantId, id, unit.clientId, 'for update');
      if (!stored?.payload.uid) return undefined;
      if (unit.isOptimistic) unit.deferred.guard('session', isAlive(tenantId, 'Session', id));
      unit.session = { id, uid: stored.payload.uid, stored, destroyed: false };
      rememberSession(unit, stored);
      return fromStored(id, stored);
    },

    async findByUid(uid) {
      const unit = currentUnitOfWork();
      const stored = unit?.sessions.has(uid)
        ? unit.sessions.get(uid)
        : await findSessionByUid((await unit?.reader()) ?? db, tenantId, uid);
      unit?.sessions.set(uid, stored);
      // Nobody who finds a session by its uid may learn the id, which is the browser's cookie.
      return stored && { ...stored.payload, jti: uid };
    },

    async save(id, payload, expiresInSeconds) {
      const unit = currentUnitOfWork();
      const known = unit?.session?.uid === payload.uid ? unit?.session : undefined;
      const session = {
        id,
        payload: unit?.isWithoutBrowser ? { ...payload, isWithoutBrowser: true } : payload,
        idleSeconds: expiresInSeconds,
        absoluteSeconds: sessionAbsoluteSeconds,
        ip: unit?.actor.ip,
        userAgent: unit?.actor.userAgent,
      };
      if (!known) {
        if (unit?.isOptimistic) unit.deferred.write('session', sessionInserted(tenantId, session));
        else await insertSession((await unit?.writer()) ?? db, tenantId, session);
        return;
      }

      known.destroyed = false;
      if (known.id === id && isSame(known.stored.payload, payload, expiresInSeconds)) return;
      if (unit?.isOptimistic) {
        const { id: before, stored } = known;
        unit.deferred.guard('session', isUnchanged(tenantId, 'Session', before, String(stored.version)));
        unit.deferred.write('session', sessionUpdated(tenantId, before, session));
        return;
      }
      await updateSession(await (unit as UnitOfWork).transaction(), tenantId, known.id, session);
      known.id = id;
      known.stored.payload = structuredClone(payload);
    },

    /** The engine destroys the old id before it saves the session under a new one: what ends is settled at the end. */
    async destroy(id) {
      const unit = currentUnitOfWork();
      if (unit?.session?.id === id) unit.session.destroyed = true;
      else await killSession((await unit?.writer()) ?? db, tenantId, id, 'signed_out');
    },
  };
}

/**
 * After a wait for the lock the session is as it is now, but what is joined to it belongs to the session
 * as it was when the wait began: another grant or person, or none where there is one by now. Only what
 * fits is remembered; for the rest the engine's question goes to the database.
 */
function rememberSession(unit: UnitOfWork, row: SessionRow): void {
  const { accountId, authorizations } = row.payload;
  const account = toAccount(row);
  if (account && account.user.id === accountId) unit.accounts.set(accountId, account);

  const grantId = unit.clientId && (authorizations as Authorizations | undefined)?.[unit.clientId]?.grantId;
  const { grant_payload: payload, grant_id_hash: id_hash } = row;
  if (grantId && payload && id_hash?.equals(hashId(grantId)))
    unit.grants.set(grantId, { id_hash, payload, consumed_at: null, dead_at: null });
}

type Authorizations = Record<string, { grantId?: string }>;

/** Before the commit: a session that was destroyed and not saved again under a new id has ended. */
export async function settleSession(unit: UnitOfWork, tenantId: string): Promise<void> {
  if (!unit.session?.destroyed) return;
  const { id, uid } = unit.session;
  const trx = await unit.transaction();
  const ended = await killSession(trx, tenantId, id, 'signed_out');
  if (!ended?.account_id) return;
  const actor = { ...unit.actor, type: 'user' as const, id: ended.account_id };
  await recordEvent(trx, actor, 'user.logout', {
    target: { type: 'user', id: ended.account_id },
    data: { session: uid },
  });
}

function isSame(before: ModelPayload, after: ModelPayload, expiresInSeconds: number): boolean {
  const extendedBy = (after.exp ?? 0) - (before.exp ?? 0);
  return extendedBy < touchSeconds(expiresInSeconds) && comparable(before) === comparable(after);
}

/** Key order differs between what the engine builds and what the database returns. */
function comparable({ exp: _exp, iat: _iat, jti: _jti, ...rest }: ModelPayload): string {
  return JSON.stringify(sorted(rest));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  );
}
