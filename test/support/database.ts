import { randomBytes } from 'node:crypto';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { newId } from '../../src/lib/ids.ts';
import {
  createCopy,
  dropDatabase,
  openTestDatabase,
  standingTestDatabases,
  withDatabase,
} from './test-databases.ts';
import type { TestDatabases } from './test-databases.ts';
import { startTestServer } from './test-server.ts';

let databases: Promise<TestDatabases> | undefined;
let shared: Knex | undefined;
let stopServer: (() => Promise<void>) | undefined;

/**
 * The pool on the database all tests share, its schema up to date. Closed for you after the file.
 * Nothing is ever emptied: make a tenant of your own.
 */
export async function testDb(): Promise<Knex> {
  const url = await testDatabaseUrl();
  shared ??= openTestDatabase(url);
  return shared;
}

/** For a server process that is to run on the shared test database. */
export async function testDatabaseUrl(): Promise<string> {
  return (await locate()).url;
}

export async function newTenant(
  db: Knex,
  overrides: { id?: string; slug?: string; name?: string } = {},
): Promise<{ id: string; slug: string }> {
  const id = overrides.id ?? newId();
  const slug = overrides.slug ?? `t-${randomBytes(8).toString('hex')}`;
  await db('tenants').insert({ id, slug, name: overrides.name ?? `Tenant ${slug}` });
  return { id, slug };
}

export interface OwnDatabase {
  db: Knex;
  url: string;
  drop(): Promise<void>;
}

/** A database of its own without any table, for tests of migrations. */
export async function emptyDatabase(): Promise<OwnDatabase> {
  return ownDatabase();
}

/** A database of its own with the schema up to date, for tests that cannot share. */
export async function migratedDatabase(): Promise<OwnDatabase> {
  return ownDatabase((await locate()).template);
}

/** For the root hooks. */
export async function closeDatabases(): Promise<void> {
  await shared?.destroy();
  shared = undefined;
  await stopServer?.();
  stopServer = undefined;
  databases = undefined;
}

async function ownDatabase(template?: string): Promise<OwnDatabase> {
  const { url: sharedUrl } = await locate();
  // The prefix is the shared database's name, so that the run drops what a killed test left.
  const name = `${new URL(sharedUrl).pathname.slice(1)}_${randomBytes(4).toString('hex')}`;
  await createCopy(sharedUrl, template === undefined ? { name } : { name, template });
  const url = withDatabase(sharedUrl, name);
  const db = openTestDatabase(url);
  return {
    db,
    url,
    async drop() {
      await db.destroy();
      await dropDatabase(sharedUrl, name);
    },
  };
}

/** test/run.ts names both databases; a test file that is run by itself uses standing ones. */
function locate(): Promise<TestDatabases> {
  const { TEST_DATABASE_URL: url, TEST_DATABASE_TEMPLATE: template } = process.env;
  databases ??= url && template ? Promise.resolve({ url, template }) : locateStanding();
  return databases;
}

async function locateStanding(): Promise<TestDatabases> {
  const server = await startTestServer(join(tmpdir(), `gatehouse-test-${userInfo().username}`));
  stopServer = () => server.stop();
  return standingTestDatabases(server.url);
}
