import { errors } from 'oidc-provider';
import type { AdapterDeps, ModelAdapter } from './adapter-factory.ts';
import { findModel, killModel, saveModel } from './model-store.ts';
import { hashId } from './stored-model.ts';
import type { ModelPayload, StoredModel } from './stored-model.ts';
import { currentUnitOfWork } from './unit-of-work.ts';

/**
 * A pause of an authorization request for the person. Its payload names the browser's session and the
 * pushed request it came from, so all of it is sealed. Of parallel resumes one goes on.
 */
export function interactionAdapter({ db, tenantId, sealer }: AdapterDeps): ModelAdapter {
  return {
    async find(id) {
      const unit = currentUnitOfWork();
      if (unit?.kind !== 'browser') {
        const stored = await findModel((await unit?.reader()) ?? db, tenantId, 'Interaction', id);
        return stored && { ...open(stored), jti: id };
      }
      // Under the lock it stays as it was read, until this very request saves it.
      if (!unit.interactions.has(id)) {
        const stored = await findModel(await unit.transaction(), tenantId, 'Interaction', id, 'for update');
        unit.interactions.set(id, stored);
      }
      const locked = unit.interactions.get(id);
      if (!locked) return undefined;
      const payload = open(locked);
      unit.signsIn = isSignIn(payload);
      return { ...payload, jti: id };
    },

    async save(id, payload, expiresInSeconds) {
      currentUnitOfWork()?.interactions.delete(id);
      const { jti: _jti, ...rest } = payload;
      const sealed: ModelPayload = { sealed: sealer.seal(JSON.stringify(rest), placeOf(id)) };
      await saveModel(
        (await currentUnitOfWork()?.writer()) ?? db,
        tenantId,
        'Interaction',
        id,
        sealed,
        expiresInSeconds,
      );
    },

    async destroy(id) {
      currentUnitOfWork()?.interactions.delete(id);
      const killed = await killModel(
        (await currentUnitOfWork()?.writer()) ?? db,
        tenantId,
        'Interaction',
        id,
      );
      if (!killed) throw new errors.SessionNotFound('interaction session not found');
    },
  };

  function open(stored: StoredModel): ModelPayload {
    const { sealed } = stored.payload;
    return JSON.parse(sealer.open(String(sealed), placeOfHash(stored.id_hash)));
  }
}

function placeOf(id: string): string {
  return placeOfHash(hashId(id));
}

function placeOfHash(hash: Buffer): string {
  return `oidc_models:payload:${hash.toString('hex')}`;
}

/** A consent carries the sign-in before it along; only the interaction that asked for it is one. */
function isSignIn({ prompt, result }: ModelPayload): boolean {
  const { name } = (prompt ?? {}) as { name?: string };
  return name !== 'consent' && typeof result === 'object' && result !== null && 'login' in result;
}
