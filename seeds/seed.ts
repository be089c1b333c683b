import { ConfigError, loadConfig } from '../src/config.ts';
import { migrateUp } from '../src/db/migrator.ts';
import { openDatabase } from '../src/db/open-database.ts';
import { systemActor } from '../src/http/actor.ts';
import { createLogger } from '../src/lib/logger.ts';
import { loadEnvironment } from '../src/load-environment.ts';
import { createServices } from '../src/services.ts';
import { seedExampleData } from './example-data.ts';
import type { Seeded } from './example-data.ts';

/** `npm run seed`: example data into the development database, beside a running server or without one. */

function report({ users, resources, clients }: Seeded): string {
  const lines = [
    ...users.map(({ email, password, status }) => `user      ${email}  ${password}  (${status})`),
    ...resources.map((identifier) => `resource  ${identifier}`),
    ...clients.map(({ clientId, secret }) => `client    ${clientId}${secret ? `  ${secret}` : ''}`),
  ];
  if (lines.length === 0) return 'The example data is there already; nothing was changed.';
  return ['Added; passwords and secrets are shown only now:', '', ...lines].join('\n');
}

async function seed(): Promise<void> {
  const config = loadConfig(loadEnvironment(process.env));
  // Its people are made up, and its web client belongs to whoever runs something on a local port.
  if (config.production) throw new Error('Example data is for development; this is production.');

  const log = createLogger({ level: 'warn', destination: process.stderr });
  const { db, close } = await openDatabase(config, log);
  try {
    await migrateUp(db);
    const services = createServices({ config, db, log });
    const tenant = await services.tenants.ensureDefault();
    console.log(report(await seedExampleData(services, systemActor(tenant.id))));
  } finally {
    await close();
  }
}

try {
  await seed();
} catch (err) {
  console.error(err instanceof ConfigError || !process.env['DEBUG'] ? String(err) : err);
  process.exitCode = 1;
}
