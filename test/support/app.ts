import { randomBytes, randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Knex } from 'knex';
import { createApp, createPageFiles } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import type { Config } from '../../src/config.ts';
import { startServer } from '../../src/http/server.ts';
import { systemActor } from '../../src/http/actor.ts';
import type { Actor } from '../../src/http/actor.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import type { Metrics } from '../../src/metrics/metrics.ts';
import { redisCounters } from '../../src/redis/redis-counters.ts';
import { createRedis } from '../../src/redis/redis.ts';
import type { Redis } from '../../src/redis/redis.ts';
import { createServices } from '../../src/services.ts';
import type { Services } from '../../src/services.ts';
import { createTenantChanges } from '../../src/tenants/tenant-changes.ts';
import type { Siblings } from '../../src/tenants/tenant-changes.ts';
import { issuerOf } from '../../src/tenants/tenant.ts';
import type { Tenant } from '../../src/tenants/tenant.ts';
import { testDb } from './database.ts';

/** The real application on the test database, listening on a port of its own. */
export interface TestApp {
  url: string;
  config: Config;
  services: Services;
  db: Knex;
  registry: ReturnType<typeof createApp>['registry'];
  redis: Redis | undefined;
  metrics: Metrics | undefined;
  /** A tenant with keys; each test or file makes its own. */
  tenant(): Promise<TestTenant>;
  close(): Promise<void>;
}

export interface TestTenant {
  tenant: Tenant;
  issuer: string;
  actor: Actor;
}

// One set for all processes of a run: replicas share their keys.
export const KEYS = process.env['TEST_GATEHOUSE_KEYS'] ?? Buffer.alloc(32, 7).toString('base64');

export const GOOD_PASSWORD = 'correct horse battery staple';

const files = createPageFiles();

export async function startTestApp(
  options: {
    env?: Record<string, string>;
    db?: Knex;
    log?: Logger;
    measured?: boolean;
    siblings?: Siblings;
  } = {},
): Promise<TestApp> {
  const port = await freePort();
  const config = loadConfig({
    NODE_ENV: 'test',
    PORT: String(port),
    GATEHOUSE_KEYS: KEYS,
    GATEHOUSE_PEPPERS: KEYS,
    GATEHOUSE_OUTBOUND_ALLOW: '127.0.0.0/8,::1/128',
    // All tests come from one address; those of the limits turn them on.
    GATEHOUSE_RATE_LIMITS: 'off',
    LOG_LEVEL: 'silent',
    ...options.env,
  });
  const log = options.log ?? createLogger({ level: config.logLevel });
  const db = options.db ?? (await testDb());
  const redis = config.redisUrl === undefined ? undefined : createRedis({ url: config.redisUrl, log });
  const changes = createTenantChanges({ redis, siblings: options.siblings });
  const services = createServices({ config, db, log, tenantChanged: (id) => changes.announce(id) });
  const metrics = options.measured
    ? createMetrics({
        version: 'test',
        db,
        poolMax: config.databasePool,
        passwordHashes: () => services.hasher.stats(),
        signInSeats: () => services.admitSignIn.seats(),
      })
    : undefined;
  const app = createApp({
    ...files,
    config,
    services,
    db,
    log,
    now: () => new Date(),
    version: 'test',
    isDraining: () => server.isDraining(),
    sharedCounters: redis && redisCounters(redis),
    metrics,
  });
  const server = await startServer({
    handler: app.handler,
    host: '127.0.0.1',
    port,
    log,
    drainSeconds: 5,
    graceMs: 0,
    ...(config.rateLimits && config.trustProxy.length === 0 ? { admit: fromOneNetwork() } : {}),
  });
  app.registry.start();
  services.mail.delivery.start();
  changes.listen((id) => app.registry.changed(id));

  return {
    url: config.publicUrl,
    config,
    services,
    db,
    registry: app.registry,
    redis,
    metrics,
    async tenant() {
      const slug = `t-${randomBytes(6).toString('hex')}`;
      const root = await services.tenants.ensureDefault();
      const tenant = await services.tenants.create(systemActor(root.id), { slug, name: `Tenant ${slug}` });
      return { tenant, issuer: issuerOf(config.publicUrl, tenant), actor: systemActor(tenant.id) };
    },
    async close() {
      await server.drain();
      await Promise.all([app.registry.stop(), services.mail.delivery.stop()]);
      redis?.close();
      metrics?.stop();
    },
  };
}

/** Whoever uses the same database shares the counters of a network, so every app that counts has one of its own. */
function fromOneNetwork(): (socket: Socket) => boolean {
  const address = `10.${randomInt(256)}.${randomInt(256)}.${randomInt(1, 255)}`;
  return (socket) => Reflect.defineProperty(socket, 'remoteAddress', { value: address });
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
