import type Router from '@koa/router';
import { AppError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { createDemo } from './demo.ts';
import type { DemoOptions } from './demo.ts';
import { DEMO_CLIENT_ID, provisionDemo } from './provision.ts';
import type { DemoCredentials, ProvisionOptions } from './provision.ts';

export interface StartedDemo {
  router: Router;
  credentials: DemoCredentials;
}

/**
 * Registers the demo and builds it.
 * @returns undefined when it cannot run here; the log says why, and the server goes on without it
 */
export async function startDemo({
  config,
  services,
  tenant,
  views,
  language,
  log,
  sessionStore,
}: {
  config: { publicUrl: string; dataDir: string };
  services: ProvisionOptions['services'];
  /** The one at the root of the public URL. */
  tenant: { id: string };
  views: DemoOptions['views'];
  language: DemoOptions['language'];
  log: Logger;
  sessionStore?: DemoOptions['sessionStore'];
}): Promise<StartedDemo | undefined> {
  const { publicUrl, dataDir } = config;
  try {
    const credentials = await provisionDemo({ tenantId: tenant.id, publicUrl, dataDir, services });
    const { router } = createDemo({
      issuer: publicUrl,
      baseUrl: `${publicUrl}/demo`,
      clientId: DEMO_CLIENT_ID,
      resource: `${publicUrl}/demo/api`,
      views,
      language,
      log,
      user: credentials,
      sessionStore,
    });
    return { router, credentials };
  } catch (err) {
    if (!(err instanceof AppError)) throw err;
    log.warn({ code: err.code, errors: err.errors }, `no demo: ${err.message}`);
    return undefined;
  }
}
