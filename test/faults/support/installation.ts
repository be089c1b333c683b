import { mkdtemp, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { loadConfig } from '../../../src/config.ts';
import { createDatabase } from '../../../src/db/database.ts';
import { migrateUp } from '../../../src/db/migrator.ts';
import { systemActor } from '../../../src/http/actor.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createServices } from '../../../src/services.ts';
import type { Services } from '../../../src/services.ts';
import { issuerOf } from '../../../src/tenants/tenant.ts';
import type { TestTenant } from '../../support/app.ts';
import { startRedisServer } from '../../support/redis-server.ts';
import type { RedisServer } from '../../support/redis-server.ts';
import { createBalancer } from './balancer.ts';
import type { Balancer } from './balancer.ts';
import { startPrivatePostgres } from './private-postgres.ts';
import type { PrivatePostgres } from './private-postgres.ts';
import { createServerProcess } from './server-process.ts';
import type { ServerProcess, ServerProcessOptions } from './server-process.ts';
import { startTcpProxy } from './tcp-proxy.ts';
import type { TcpProxy } from './tcp-proxy.ts';

/**
 * A whole installation, configured as in production: server processes behind one public URL, a PostgreSQL
 * server that can crash and a Redis that can forget, each behind a proxy that can misbehave. The test itself talks to the database past the
 * proxy, so that it sees what is there whatever the servers see.
 */
export interface Installation {
  publicUrl: string;
  postgres: PrivatePostgres;
  /** Between the servers and PostgreSQL. */
  proxy: TcpProxy;
  redis: RedisServer;
  redisProxy: TcpProxy;
  servers: readonly ServerProcess[];
  balancer: Balancer;
  /** As the operator's commands have them, on a connection past the proxy. */
  services: Services;
  db: Knex;
  /** A tenant with keys; every test makes its own. */
  tenant(): Promise<TestTenant>;
  close(): Promise<void>;
}

export interface InstallationOptions {
  servers?: number;
  env?: Record<string, string>;
  /** Of one server, by its index. */
  each?: (index: number) => Partial<ServerProcessOptions>;
}

const PUBLIC_URL = 'https://sso.example';
const KEYS = Buffer.alloc(32, 7).toString('base64');

export async function startInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const directory = await mkdtemp(join(process.env['FAULTS_DIR'] ?? tmpdir(), 'installation-'));
  const undo: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  const close = async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const postgres = await startPrivatePostgres(join(directory, 'data'));
    undo.push(() => postgres.stop());
    const proxy = await startTcpProxy(postgres.socket);
    undo.push(() => proxy.close());
    const redis = await startRedisServer();
    undo.push(() => redis.stop());
    const redisProxy = await startTcpProxy(redis.port);
    undo.push(() => redisProxy.close());
    const db = openDirectly(postgres.url);
    undo.push(() => db.destroy());
    await migrateUp(db);

    const environment = environmentOf(proxy, redisProxy, options.env);
    const config = loadConfig(environment);
    const services = createServices({ config, db, log: createLogger({ level: 'silent' }) });
    const root = await services.tenants.ensureDefault();

    const servers = await Promise.all(
      Array.from({ length: options.servers ?? 2 }, (_, index) => {
        const own = options.each?.(index) ?? {};
        return createServerProcess({ ...own, env: { ...environment, ...own.env } });
      }),
    );
    undo.push(() => Promise.all(servers.map((server) => server.kill())));
    await Promise.all(servers.map((server) => server.start()));
    const balancer = createBalancer({ publicUrl: PUBLIC_URL, urls: servers.map(({ url }) => url) });
    undo.push(async () => balancer.close());

    return {
      publicUrl: PUBLIC_URL,
      postgres,
      proxy,
      redis,
      redisProxy,
      servers,
      balancer,
      services,
      db,
      close,
      async tenant() {
        const slug = `t-${randomBytes(6).toString('hex')}`;
        const tenant = await services.tenants.create(systemActor(root.id), { slug, name: `Tenant ${slug}` });
        return { tenant, issuer: issuerOf(PUBLIC_URL, tenant), actor: systemActor(tenant.id) };
      },
    };
  } catch (err) {
    await close();
    throw err;
  }
}

function environmentOf(
  proxy: TcpProxy,
  redisProxy: TcpProxy,
  env: Record<string, string> = {},
): Record<string, string> {
  return {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PUBLIC_URL,
    DATABASE_URL: `postgresql://gatehouse@127.0.0.1:${proxy.port}/gatehouse?sslmode=disable`,
    REDIS_URL: `redis://127.0.0.1:${redisProxy.port}`,
    GATEHOUSE_KEYS: KEYS,
    GATEHOUSE_PEPPERS: KEYS,
    GATEHOUSE_WORKERS: '1',
    GATEHOUSE_RATE_LIMITS: 'off',
    LOG_LEVEL: 'warn',
    ...env,
  };
}

function openDirectly(url: string): Knex {
  return createDatabase({
    url,
    poolMax: 8,
    statementTimeoutMs: 10_000,
    lockTimeoutMs: 10_000,
    acquireTimeoutMs: 20_000,
    applicationName: 'gatehouse-fault-test',
  });
}
