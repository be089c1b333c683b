import { createApp, createPageFiles } from './app.ts';
import type { Config } from './config.ts';
import { migrateUp } from './db/migrator.ts';
import { openDatabase } from './db/open-database.ts';
import { createConnectionLimit } from './http/connection-limit.ts';
import { startServer } from './http/server.ts';
import type { DrainOptions, RunningServer } from './http/server.ts';
import { fixedLanguage } from './i18n/request-language.ts';
import { SOURCE_LOCALE } from './i18n/translations.ts';
import { createAccountRequestsJob } from './jobs/account-requests-job.ts';
import { createClientAccessJob } from './jobs/client-access-job.ts';
import { createExpiryJob } from './jobs/expiry-job.ts';
import { createKeyRotationJob } from './jobs/key-rotation-job.ts';
import { createLogoutDeliveryJob } from './jobs/logout-delivery-job.ts';
import { createMailDeliveryJob } from './jobs/mail-delivery-job.ts';
import { createScheduler } from './jobs/scheduler.ts';
import { createSessionLimitJob } from './jobs/session-limit-job.ts';
import { createUserLifeCycleJob } from './jobs/user-life-cycle-job.ts';
import { systemClock } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import { startManagementServer } from './metrics/management-server.ts';
import type { Metrics } from './metrics/metrics.ts';
import { createServices } from './services.ts';
import { createTenantChanges } from './tenants/tenant-changes.ts';
import type { Siblings } from './tenants/tenant-changes.ts';
import { DEFAULT_TENANT_SLUG } from './tenants/tenant.ts';
import { banner } from './banner.ts';
import type { DemoOptions } from './demo/demo.ts';
import { systemActor } from './http/actor.ts';

export interface RunningGatehouse {
  url: string;
  port: number;
  /** Undefined where nobody asks for any. */
  metrics: Metrics | undefined;
  /** Finishes what is under way, then closes everything. */
  stop(options?: DrainOptions): Promise<void>;
}

export interface StartOptions {
  config: Config;
  log: Logger;
  version: string;
  print: (text: string) => void;
  duties?: Duties;
  /** Told before and after the migrations, which take as long as they take. */
  onMigrating?: (isUnderWay: boolean) => void;
  /** What all processes of this server see; absent where there is only one. */
  sharedMemory?: DemoOptions['sessionStore'];
  /** The other processes of this server, likewise. */
  siblings?: Siblings;
}

/** What one of several processes on a machine does for all of them; one that is alone does it all. */
export interface Duties {
  migrates: boolean;
  printsBanner: boolean;
  runsJobs: boolean;
  servesMetrics: boolean;
}

const ALL: Duties = { migrates: true, printsBanner: true, runsJobs: true, servesMetrics: true };

/** Everything a server process runs, in the order it depends on each other; stopped in reverse. */
export async function startGatehouse({
  config,
  log,
  version,
  print,
  duties = ALL,
  onMigrating,
  sharedMemory,
  siblings,
}: StartOptions): Promise<RunningGatehouse> {
  const { db, close: closeDatabase } = await openDatabase(config, log);
  const { redis, sharedCounters } = await openRedis(config, log);
  let metrics: Metrics | undefined;
  let management: RunningServer | undefined;
  let server: RunningServer | undefined;
  const close = async () => {
    redis?.close();
    await management?.drain();
    metrics?.stop();
    await closeDatabase();
  };
  try {
    if (duties.migrates && config.migrateAtStart) {
      onMigrating?.(true);
      const applied = await migrateUp(db);
      onMigrating?.(false);
      if (applied.length > 0) log.info({ applied }, 'migrations applied');
    }

    const changes = createTenantChanges({ redis, siblings });
    const services = createServices({ config, db, log, tenantChanged: (id) => changes.announce(id) });
    if (config.management) {
      const { createMetrics } = await import('./metrics/metrics.ts');
      metrics = createMetrics({
        version,
        db,
        poolMax: config.databasePool,
        passwordHashes: () => services.hasher.stats(),
        signInSeats: () => services.admitSignIn.seats(),
        isRedisReady: redis && (() => redis.isReady()),
      });
      const { registry } = metrics;
      if (duties.servesMetrics) {
        management = await startManagementServer({
          ...config.management,
          log,
          render: () => registry.metrics(),
        });
      }
    }
    const tenant = await services.tenants.ensureDefault();
    const files = createPageFiles();
    const demo = config.demo
      ? await (await import('./demo/start-demo.ts')).startDemo({
          config,
          services,
          tenant,
          log,
          views: files.views,
          language: fixedLanguage(services.translations.for(SOURCE_LOCALE)),
          sessionStore: sharedMemory,
        })
      : undefined;

    const app = createApp({
      ...files,
      config,
      services,
      db,
      log,
      now: systemClock,
      version,
      demo,
      sharedCounters,
      metrics,
      isDraining: () => server?.isDraining() === true,
    });
    await app.registry.get(DEFAULT_TENANT_SLUG);
    changes.listen((id) => app.registry.changed(id));

    server = await startServer({
      handler: app.handler,
      host: config.host,
      port: config.port,
      admit: createConnectionLimit({
        most: config.connectionsPerNetwork,
        trustProxy: config.trustProxy,
        onRefused: (network) => log.warn({ network }, 'one network holds too many connections open'),
      }),
      log,
      drainSeconds: config.drainSeconds,
      graceMs: config.graceMs,
    });
    app.registry.start();
    const scheduler = createScheduler({
      log,
      jobs: [
        createKeyRotationJob({ db, tenants: services.tenants, keys: services.keys, log }),
        createExpiryJob({ db, log, refreshAbsoluteSeconds: config.refreshAbsoluteSeconds }),
        createLogoutDeliveryJob({ db, registry: app.registry, log }),
        createClientAccessJob({ db, log }),
        createSessionLimitJob({ db, sessions: services.sessions, now: systemClock, log }),
        createUserLifeCycleJob({ db, users: services.users, eraseDays: config.userEraseDays, log }),
        createAccountRequestsJob({ exports: services.dataExports, deletions: services.accountDeletions }),
        ...(config.mail ? [createMailDeliveryJob(services.mail)] : []),
      ],
    });
    if (duties.runsJobs) scheduler.start();
    if (config.mail) services.mail.delivery.start();
    else
      log.warn('SMTP_URL is not set: sign-up, password reset and whatever else needs mail are not offered');

    const { port } = server;
    log.info({ port, host: config.host, publicUrl: config.publicUrl, version }, 'listening');
    if (duties.printsBanner && !config.production) {
      const setup = (await services.setup.isNeeded(tenant.id))
        ? await services.setup.issueLink(systemActor(tenant.id))
        : undefined;
      print(banner({ config, demo: demo?.credentials, setup, hasInbox: services.mail.hasInbox }));
    }

    return {
      url: config.publicUrl,
      port,
      metrics,
      async stop(options) {
        await server?.drain(options);
        await Promise.all([scheduler.stop(), app.registry.stop(), services.mail.delivery.stop()]);
        await close();
      },
    };
  } catch (err) {
    await server?.drain();
    await close();
    throw err;
  }
}

async function openRedis({ redisUrl }: Config, log: Logger) {
  if (redisUrl === undefined) return {};
  // The libraries take longer to load than most of ours, and a newcomer has no Redis.
  const [{ createRedis }, { redisCounters }] = await Promise.all([
    import('./redis/redis.ts'),
    import('./redis/redis-counters.ts'),
  ]);
  const redis = createRedis({ url: redisUrl, log });
  return { redis, sharedCounters: redisCounters(redis) };
}
