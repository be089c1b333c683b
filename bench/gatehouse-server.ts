import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Knex } from 'knex';
import { loadConfig } from '../src/config.ts';
import type { Config } from '../src/config.ts';
import { migrateUp } from '../src/db/migrator.ts';
import { openDatabase } from '../src/db/open-database.ts';
import { systemActor } from '../src/http/actor.ts';
import { bufferedOutput, createLogger } from '../src/lib/logger.ts';
import { createServices } from '../src/services.ts';
import { startGatehouse } from '../src/start.ts';
import { orTellParent, serveParent, WORKERS_VARIABLE } from './child-messages.ts';
import { WEB_CLIENT_ID } from './fixtures.ts';
import type { TargetDescription } from './fixtures.ts';
import { freePort } from './free-port.ts';
import { fillDatabase, grownEmail } from './growth/fill-database.ts';
import type { Size } from './growth/fill-database.ts';
import { provisionTenant, withPassword } from './provision.ts';
import { serve } from './serve.ts';
import { createStatementCounter } from './statement-counter.ts';

/** Gatehouse as it is started by `npm start`, with all its jobs, after clients and people were made for it. */

const MOST_GROWN_USERS = 4096;

async function start(): Promise<void> {
  const port = await freePort();
  const environment = {
    // Everything comes from one address.
    GATEHOUSE_RATE_LIMITS: 'off',
    ...process.env,
    NODE_ENV: 'development',
    GATEHOUSE_DEMO: 'off',
    GATEHOUSE_KEYS: randomBytes(32).toString('base64'),
    GATEHOUSE_PEPPERS: randomBytes(32).toString('base64'),
    HOST: '127.0.0.1',
    PORT: String(port),
    PUBLIC_URL: `http://127.0.0.1:${port}`,
  };
  const config = loadConfig(environment);
  const target = await provision(config);
  const workers = process.env[WORKERS_VARIABLE];
  if (workers !== undefined) {
    serveParent(target, await serve({ ...environment, GATEHOUSE_WORKERS: workers }, process.execArgv));
    return;
  }
  // As in production, the mode of which wants https.
  const log = createLogger({ level: config.logLevel, destination: bufferedOutput() });
  const runsJobs = process.env['BENCH_JOBS'] !== 'off';
  const running = await startGatehouse({
    config,
    log,
    version: 'bench',
    print: () => {},
    duties: { migrates: true, printsBanner: true, runsJobs, servesMetrics: true },
  });
  serveParent(target, { stop: () => running.stop(), counter: createStatementCounter() });
}

async function provision(config: Config): Promise<TargetDescription> {
  const { db, url, close } = await openDatabase(config, createLogger({ level: 'warn' }));
  try {
    await migrateUp(db);
    const services = createServices({ config, db, log: createLogger({ level: 'warn' }) });
    const { id, slug } = await services.tenants.ensureDefault();
    const actor = systemActor(id);
    const { passwordOf, ...fixtures } = await provisionTenant(services, actor, { slug });
    return {
      issuer: config.publicUrl,
      ...fixtures,
      ...(await grow(url, actor.tenantId, passwordOf)),
      ...(await describeStore(db)),
    };
  } finally {
    await close();
  }
}

/** For the bench of growth: fills the database first, and lets people from all over it do the work. */
async function grow(
  url: string,
  tenantId: string,
  passwordOf: string,
): Promise<Pick<TargetDescription, 'users' | 'filled'> | undefined> {
  const { BENCH_SIZE: text } = process.env;
  if (!text) return undefined;
  const size: Size = JSON.parse(text);
  const filled = await fillDatabase(url, size, { tenantId, clientId: WEB_CLIENT_ID, passwordOf });
  const count = Math.min(size.users, MOST_GROWN_USERS);
  // A prime, so that those who work first are from everywhere.
  const users = Array.from({ length: count }, (_, index) =>
    withPassword(grownEmail(1 + ((index * 611_953) % size.users))),
  );
  return { users, filled };
}

/** The main process of the database is the parent of whoever serves this connection. */
async function describeStore(db: Knex): Promise<Pick<TargetDescription, 'store' | 'postgresPid'>> {
  const { rows } = await db.raw(
    "SELECT pg_backend_pid() AS pid, current_setting('server_version') AS version",
  );
  const store = `PostgreSQL ${rows[0].version}`;
  try {
    const stat = readFileSync(`/proc/${rows[0].pid}/stat`, 'utf8');
    const [, name = '', rest = ''] = /\((.*)\) \S (.*)/.exec(stat) ?? [];
    if (!name.startsWith('postgres')) return { store };
    return { store, postgresPid: Number(rest.split(' ')[0]) };
  } catch {
    return { store };
  }
}

await orTellParent(start);
