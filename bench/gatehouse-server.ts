import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Knex } from 'knex';
import { loadConfig } from '../src/config.ts';
import type { Config } from '../src/config.ts';
import { migrateUp } from '../src/db/migrator.ts';
import { openDatabase } from '../src/db/open-database.ts';
import { systemActor } from '../src/http/actor.ts';
import { createLogger } from '../src/lib/logger.ts';
import { createServices } from '../src/services.ts';
import type { Services } from '../src/services.ts';
import { startGatehouse } from '../src/start.ts';
import { orTellParent, serveParent } from './child-messages.ts';
import { REDIRECT_URI, RESOURCES, SCOPE, SERVICE_CLIENT_ID, USER_COUNT, WEB_CLIENT_ID } from './fixtures.ts';
import type { TargetDescription } from './fixtures.ts';
import { createStatementCounter } from './statement-counter.ts';

/** Gatehouse as it is started by `npm start`, with all its jobs, after clients and people were made for it. */

const PASSWORD = 'correct horse battery staple';

async function start(): Promise<void> {
  const port = await freePort();
  const config = loadConfig({
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
  });
  const log = createLogger({ level: config.logLevel });
  const target = await provision(config);
  const running = await startGatehouse({ config, log, version: 'bench', print: () => {} });
  serveParent(target, { stop: () => running.stop(), counter: createStatementCounter() });
}

async function provision(config: Config): Promise<TargetDescription> {
  const { db, close } = await openDatabase(config, createLogger({ level: 'warn' }));
  try {
    await migrateUp(db);
    const services = createServices({ config, db, log: createLogger({ level: 'warn' }) });
    const actor = systemActor((await services.tenants.ensureDefault()).id);
    await createResources(services, actor);
    return {
      issuer: config.publicUrl,
      ...(await createClients(services, actor)),
      users: await createUsers(services, actor),
      ...(await describeStore(db)),
    };
  } finally {
    await close();
  }
}

type Actor = ReturnType<typeof systemActor>;

async function createResources({ resources }: Services, actor: Actor): Promise<void> {
  const scopes = [{ name: SCOPE }];
  await resources.create(actor, { identifier: RESOURCES.rs256, scopes, signingAlg: 'RS256' });
  await resources.create(actor, { identifier: RESOURCES.es256, scopes, signingAlg: 'ES256' });
  await resources.create(actor, { identifier: RESOURCES.opaque, scopes, accessTokenFormat: 'opaque' });
}

async function createClients({ clients }: Services, actor: Actor) {
  const service = await clients.create(actor, {
    clientId: SERVICE_CLIENT_ID,
    name: 'Service',
    metadata: { grant_types: ['client_credentials'] },
  });
  const web = await clients.create(actor, {
    clientId: WEB_CLIENT_ID,
    name: 'Web application',
    firstParty: true,
    metadata: {
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [REDIRECT_URI],
    },
  });
  if (!service.secret || !web.secret) throw new Error('the clients got no secret');
  return {
    service: { id: SERVICE_CLIENT_ID, secret: service.secret },
    web: { id: WEB_CLIENT_ID, secret: web.secret },
  };
}

function createUsers({ users }: Services, actor: Actor) {
  return Promise.all(
    Array.from({ length: USER_COUNT }, async (_, index) => {
      const email = `user-${index}@example.com`;
      await users.create(actor, { email, password: PASSWORD, emailVerified: true });
      return { email, password: PASSWORD };
    }),
  );
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

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

await orTellParent(start);
