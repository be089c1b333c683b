import type { Db } from '../db/database.ts';
import type { Logger } from '../lib/logger.ts';
import { finishLogout, postponeLogout, takeDueLogouts } from '../oidc/adapter/logout-deliveries.ts';
import type { LogoutDelivery } from '../oidc/adapter/logout-deliveries.ts';
import { sendBackchannelLogout } from '../oidc/extensions/clients.ts';
import type { ProviderRegistry } from '../oidc/provider-registry.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import type { Job } from './job.ts';

const BATCH = 20;
const ATTEMPT_SECONDS = 30;
const FIRST_DELAY_SECONDS = 5;
const LONGEST_DELAY_SECONDS = 3600;
/** About a day, after which the app's own session has had its chance to end. */
const MOST_ATTEMPTS = 32;

/**
 * Tells apps that a session of theirs has ended (OpenID Connect Back-Channel Logout 1.0). An app that is
 * down is asked again, ever more slowly; each attempt brings a fresh logout token.
 */
export function createLogoutDeliveryJob({
  db,
  registry,
  log,
}: {
  db: Db;
  registry: Pick<ProviderRegistry, 'get'>;
  log: Logger;
}): Job {
  return {
    name: 'logout-delivery',
    everySeconds: 2,
    async run(signal) {
      for (;;) {
        if (signal.aborted) return;
        const due = await takeDueLogouts(db, BATCH, ATTEMPT_SECONDS);
        await Promise.all(due.map(deliver));
        if (due.length < BATCH) return;
      }
    },
  };

  async function deliver(delivery: LogoutDelivery): Promise<void> {
    const { id, clientId, attempts } = delivery;
    try {
      await send(delivery);
      await finishLogout(db, id);
    } catch (err) {
      if (attempts >= MOST_ATTEMPTS) {
        log.error({ err, client_id: clientId, attempts }, 'gave up telling an app about a logout');
        await finishLogout(db, id);
        return;
      }
      const delaySeconds = Math.min(FIRST_DELAY_SECONDS * 2 ** (attempts - 1), LONGEST_DELAY_SECONDS);
      log.warn(
        { err, client_id: clientId, attempts, delaySeconds },
        'an app could not be told about a logout',
      );
      await postponeLogout(db, id, delaySeconds, err instanceof Error ? err.message : 'unknown error');
    }
  }

  async function send(delivery: LogoutDelivery): Promise<void> {
    const tenant = await tenantStore(db).find(delivery.tenantId);
    const entry = tenant && (await registry.get(tenant.slug));
    // A disabled or deleted tenant signs nothing any more.
    if (entry) await sendBackchannelLogout(entry.provider, delivery);
  }
}
