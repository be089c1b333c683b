import { errors } from 'oidc-provider';
import { toAccount } from './account-read.ts';
import type { AdapterDeps, ModelAdapter } from './adapter-factory.ts';
import { ended, inserted, isUnchanged, updated } from './deferred-models.ts';
import { findInteraction, findModel, killModel, saveModel } from './model-store.ts';
import { guardProof, judgeProof } from './sign-in-guards.ts';
import { hashId } from './stored-model.ts';
import type { ModelPayload, StoredModel } from './stored-model.ts';
import { currentUnitOfWork } from './unit-of-work.ts';
import type { UnitOfWork } from './unit-of-work.ts';

/**
 * A pause of an authorization request for the person. Its payload names the browser's session and the
 * pushed request it came from, so all of it is sealed. Of parallel resumes one goes on. A sign-in that has come to its
 * end and is not taken up until all access of the person has ended is forgotten: the way back leads to another one.
 */
export function interactionAdapter({ db, tenantId, sealer }: AdapterDeps): ModelAdapter {
  return {
    async find(id) {
      const unit = currentUnitOfWork();
      const stored = unit ? await findOnce(unit, id) : await findModel(db, tenantId, 'Interaction', id);
      if (!stored) return undefined;
      const { result, ...payload } = open(stored);
      const login = newLogin(result, payload['lastSubmission']);
      if (unit) unit.signsIn = login !== undefined;
      const isOutdated = unit?.kind === 'browser' && login && !(await stands(unit, login));
      return { ...payload, ...(result === undefined || isOutdated ? {} : { result }), jti: id };
    },

    async save(id, payload, expiresInSeconds) {
      const unit = currentUnitOfWork();
      const { jti: _jti, ...rest } = payload;
      const sealed: ModelPayload = { sealed: sealer.seal(JSON.stringify(rest), placeOf(id)) };
      if (unit?.isOptimistic) {
        const known = unit.interactions.get(id);
        if (known) unit.deferred.guard(subjectOf(id), isAsRead(id, known));
        unit.deferred.write(
          subjectOf(id),
          known
            ? updated(tenantId, 'Interaction', { id, accountId: accountOf(rest) }, sealed, expiresInSeconds)
            : inserted(tenantId, 'Interaction', id, sealed, expiresInSeconds),
        );
        if (known) unit.interactions.set(id, { ...known, payload: sealed });
        return;
      }
      unit?.interactions.delete(id);
      await saveModel((await unit?.writer()) ?? db, tenantId, 'Interaction', id, sealed, expiresInSeconds);
    },

    async destroy(id) {
      const unit = currentUnitOfWork();
      const known = unit?.interactions.get(id);
      if (unit?.isOptimistic && known) {
        unit.deferred.guard(subjectOf(id), isAsRead(id, known));
        unit.deferred.write(subjectOf(id), ended(tenantId, 'Interaction', id));
        return;
      }
      unit?.interactions.delete(id);
      const killed = await killModel((await unit?.writer()) ?? db, tenantId, 'Interaction', id);
      if (!killed) throw new errors.SessionNotFound('interaction session not found');
    },
  };

  /** Locked or guarded, it counts as it was read until this very request saves it. */
  async function findOnce(unit: UnitOfWork, id: string): Promise<StoredModel | undefined> {
    if (!unit.interactions.has(id)) {
      const isLocked = unit.kind === 'browser' && !unit.isOptimistic;
      const reader = isLocked ? await unit.transaction() : await unit.reader();
      const row = await findInteraction(reader, tenantId, id, isLocked ? 'for update' : undefined);
      unit.interactions.set(id, row);
      // After a wait for the lock the person can be another one than the row now says.
      const account = row && !isLocked ? toAccount(row) : undefined;
      if (account) unit.accounts.set(account.user.id, account);
    }
    return unit.interactions.get(id);
  }

  async function stands(unit: UnitOfWork, { accountId: userId, accessVersion = 0 }: Login): Promise<boolean> {
    const proof = { tenantId, userId, accessVersion };
    if (unit.isOptimistic) {
      guardProof(unit.deferred, 'page', proof);
      return true;
    }
    // Whoever ends access holds the person's row and asks for the sessions. Of one of theirs that this request holds
    // already they will find what it makes of it, and the other lock would make each wait for the other.
    const isLocked = unit.session?.stored.payload.accountId !== userId;
    return (await judgeProof(await unit.transaction(), 'page', proof, { isLocked })) === 'stands';
  }

  function isAsRead(id: string, { version }: StoredModel) {
    return isUnchanged(tenantId, 'Interaction', id, String(version));
  }

  function open(stored: StoredModel): ModelPayload {
    const { sealed } = stored.payload;
    return JSON.parse(sealer.open(String(sealed), placeOfHash(stored.id_hash)));
  }
}

/** A sign-in that goes on with a consent ends one and begins another. */
function subjectOf(id: string): string {
  return `interaction ${id}`;
}

function placeOf(id: string): string {
  return placeOfHash(hashId(id));
}

function placeOfHash(hash: Buffer): string {
  return `oidc_models:payload:${hash.toString('hex')}`;
}

/** What `finishLogin` leaves for the way back. */
interface Login {
  accountId: string;
  /** Absent of what a version left that knew none: as it was before access ended for the first time. */
  accessVersion?: number;
}

function loginOf(result: unknown): Login | undefined {
  return (result as { login?: Login } | undefined)?.login;
}

/** Whose sign-in it was, so that its person can be read along when it goes on. */
function accountOf({ result }: ModelPayload): string | undefined {
  return loginOf(result)?.accountId;
}

/** A consent carries the sign-in before it along, which has become a session by then. */
function newLogin(result: unknown, before: unknown): Login | undefined {
  const login = loginOf(result);
  return JSON.stringify(login) === JSON.stringify(loginOf(before)) ? undefined : login;
}
