import { recordEvent } from '../../events/record-event.ts';
import type { AdapterDeps, ModelAdapter } from './adapter-factory.ts';
import { inserted } from './deferred-models.ts';
import { findModel, killModel, saveModel } from './model-store.ts';
import { fromStored } from './stored-model.ts';
import { currentUnitOfWork } from './unit-of-work.ts';

/** A grant: what a person allowed a client, and the family all its tokens belong to. */
export function grantAdapter({ db, tenantId }: AdapterDeps): ModelAdapter {
  return {
    async find(id) {
      const unit = currentUnitOfWork();
      const stored = unit?.locksGrants
        ? await findModel(await unit.transaction(), tenantId, 'Grant', id, 'for update')
        : unit?.grants.has(id)
          ? unit.grants.get(id)
          : await findModel((await unit?.reader()) ?? db, tenantId, 'Grant', id);
      return stored && fromStored(id, stored);
    },

    async save(id, payload, expiresInSeconds) {
      const unit = currentUnitOfWork();
      if (unit?.isOptimistic && unit.grants.get(id) === undefined) {
        unit.newGrantId = id;
        const row = inserted(tenantId, 'Grant', id, payload, expiresInSeconds, unit.sessionOfNewGrant);
        unit.deferred.write('grant', row);
        return;
      }
      unit?.grants.delete(id);
      const writer = (await unit?.writer()) ?? db;
      await saveModel(writer, tenantId, 'Grant', id, payload, expiresInSeconds, unit?.sessionOfNewGrant);
    },

    /** Ends the family. Only the one call that killed it records the event. */
    async destroy(id) {
      const unit = currentUnitOfWork();
      // With its event, so a transaction whatever the request.
      const writer = (await unit?.transaction()) ?? db;
      const killed = await killModel(writer, tenantId, 'Grant', id);
      unit?.grants.set(id, undefined);
      if (!killed || !unit) return;

      const reused = unit.reused?.grantId === id;
      await recordEvent(writer, unit.actor, reused ? 'grant.reuse_detected' : 'grant.revoked', {
        target: { type: 'grant', id },
        data: { client_id: killed.client_id, user_id: killed.account_id },
      });
    },
  };
}
