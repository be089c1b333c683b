import { errors } from 'oidc-provider';
import type { AdapterDeps, ModelAdapter } from './adapter-factory.ts';
import { consumeModel, findModel, killModel, saveModel } from './model-store.ts';
import { recordTokenRevoked } from './token-events.ts';
import { fromStored, hasForeignPrefix } from './stored-model.ts';
import { currentUnitOfWork } from './unit-of-work.ts';

/** Models that belong to no grant and no session: client-credentials tokens and pushed requests. */
export function simpleAdapter(
  model: 'ClientCredentials' | 'PushedAuthorizationRequest',
  { db, tenantId }: AdapterDeps,
): ModelAdapter {
  const reader = async () => (await currentUnitOfWork()?.reader()) ?? db;
  const writer = async () => (await currentUnitOfWork()?.writer()) ?? db;

  return {
    async find(id) {
      if (hasForeignPrefix(model, id)) return undefined;
      const stored = await findModel(await reader(), tenantId, model, id);
      return stored && fromStored(id, stored);
    },

    async save(id, payload, expiresInSeconds) {
      const unit = currentUnitOfWork();
      if (unit?.kind === 'token') {
        unit.pending.saves.push({ model, id, payload, expiresInSeconds });
        return;
      }
      await saveModel(await writer(), tenantId, model, id, payload, expiresInSeconds);
    },

    async consume(id) {
      if (await consumeModel(await writer(), tenantId, model, id)) return;
      throw new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used');
    },

    async destroy(id) {
      const unit = currentUnitOfWork();
      const killed = await killModel(await writer(), tenantId, model, id);
      if (killed && unit && model === 'ClientCredentials')
        await recordTokenRevoked(await writer(), unit.actor, id, killed);
    },
  };
}
