import type { Db } from '../db/database.ts';
import type { KeyService } from '../keys/key-service.ts';
import type { Logger } from '../lib/logger.ts';
import type { TenantService } from '../tenants/tenant-service.ts';
import type { Job } from './job.ts';
import { withLease } from './lease.ts';

/** Every minute, for every tenant: rotates signing keys that are due and removes those that are spent. */
export function createKeyRotationJob({
  db,
  tenants,
  keys,
  log,
}: {
  db: Db;
  tenants: Pick<TenantService, 'list'>;
  keys: Pick<KeyService, 'runSchedule'>;
  log: Logger;
}): Job {
  async function runTenant(tenant: { id: string; slug: string }): Promise<void> {
    try {
      const transitions = await keys.runSchedule(tenant.id);
      for (const { kid, alg, from, to } of transitions) {
        log.info({ tenant: tenant.slug, kid, alg, from, to }, 'signing key changed');
      }
    } catch (err) {
      // The other tenants' keys are due all the same.
      log.error({ err, tenant: tenant.slug }, 'signing keys could not be kept to their schedule');
    }
  }

  return {
    name: 'key-rotation',
    everySeconds: 60,
    async run(signal) {
      // Safe without the lease too; it spares the replicas making key pairs that lose the race.
      await withLease(db, 'key-rotation', async () => {
        for (const tenant of await tenants.list()) {
          if (signal.aborted) return;
          await runTenant(tenant);
        }
      });
    },
  };
}
