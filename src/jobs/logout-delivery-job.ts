import type { Db } from '../db/database.ts';
import type { Logger } from '../lib/logger.ts';
import { finishLogout, postponeLogout, takeDueLogouts } from '../oidc/adapter/logout-deliveries.ts';
import type { LogoutDelivery, ToldApp } from '../oidc/adapter/logout-deliveries.ts';
import { sendBackchannelLogout } from '../oidc/extensions/clients.ts';
import type { ProviderRegistry } from '../oidc/provider-registry.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import type { Job } from './job.ts';

const BATCH = 40;
/** Of a batch, for one app. */
const SHARE = 5;
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
      /** They do not answer: what else waits for them has time until the next run, and keeps nobody waiting. */
      const silent: ToldApp[] = [];
      while (!signal.aborted) {
        const due = await takeDueLogouts(db, {
          limit: BATCH,
          share: SHARE,
          attemptSeconds: ATTEMPT_SECONDS,
          except: silent,
        });
        if (due.length === 0) return;
        const isTold = await Promise.all(due.map(deliver));
        silent.push(...due.filter((_, index) => !isTold[index]));
      }
    },
  };

  /** @returns whether the app took it */
  async function deliver(delivery: LogoutDelivery): Promise<boolean> {
    const { id, clientId, attempts } = delivery;
    try {
      await send(delivery);
      await finishLogout(db, id);
      return true;
    } catch (err) {
      if (attempts >= MOST_ATTEMPTS) {
        log.error({ err, client_id: clientId, attempts }, 'gave up telling an app about a logout');
        await finishLogout(db, id);
        return false;
      }
      const delaySeconds = Math.min(FIRST_DELAY_SECONDS * 2 ** (attempts - 1), LONGEST_DELAY_SECONDS);
      log.warn(
        { err, client_id: clientId, attempts, delaySeconds },
        'an app could not be told about a logout',
      );
      await postponeLogout(db, id, delaySeconds, err instanceof Error ? err.message : 'unknown error');
      return false;
    }
  }

  async function send(delivery: LogoutDelivery): Promise<void> {
    const tenant = await tenantStore(db).find(delivery.tenantId);
    const entry = tenant && (await registry.get(tenant.slug));
    // A disabled or deleted tenant signs nothing any more.
    if (entry) await sendBackchannelLogout(entry.provider, delivery);
  }
}
