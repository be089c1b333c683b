import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import knex from 'knex';
import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/database.ts';
import { migrateUp } from '../../src/db/migrator.ts';

/** The databases of a test run: a migrated template, and the one all tests share, copied from it. */
export interface TestDatabases {
  url: string;
  template: string;
}

const MIGRATIONS = new URL('../../migrations/', import.meta.url);

/** @returns the databases, and how to drop them and every other one whose name starts like theirs */
export async function createTestDatabases(
  serverUrl: string,
): Promise<TestDatabases & { drop(): Promise<void> }> {
  const name = `gatehouse_test_${randomBytes(4).toString('hex')}`;
  const template = `${name}_template`;
  await makeTemplate(serverUrl, template);
  await createCopy(serverUrl, { name, template });
  return {
    url: withDatabase(serverUrl, name),
    template,
    drop: () => dropDatabases(serverUrl, (existing) => existing === name || existing.startsWith(`${name}_`)),
  };
}

/**
 * For a test file that is run by itself: databases that stay for the next time, as long as the
 * migrations stay as they are.
 */
export async function standingTestDatabases(serverUrl: string): Promise<TestDatabases> {
  const name = `gatehouse_dev_${await migrationsHash()}`;
  const template = `${name}_template`;
  await onServer(serverUrl, async (server) => {
    // One file at a time: the others find the databases made.
    await server.transaction(async (trx) => {
      await trx.raw('SELECT pg_advisory_xact_lock(hashtext(?))', [name]);
      if (await exists(trx, name)) return;
      await dropDatabases(serverUrl, (existing) => existing === template);
      await makeTemplate(serverUrl, template);
      await createCopy(serverUrl, { name, template });
    });
  });
  return { url: withDatabase(serverUrl, name), template };
}

/** @param template copied with its tables; without one the new database is empty */
export async function createCopy(
  serverUrl: string,
  { name, template = 'template0' }: { name: string; template?: string },
): Promise<void> {
  await onServer(serverUrl, (server) => server.raw('CREATE DATABASE ?? TEMPLATE ??', [name, template]));
}

export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await onServer(serverUrl, (server) => server.raw('DROP DATABASE IF EXISTS ?? WITH (FORCE)', [name]));
}

export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

export function openTestDatabase(url: string): Knex {
  return createDatabase({
    url,
    poolMax: 10,
    statementTimeoutMs: 5000,
    lockTimeoutMs: 5000,
    acquireTimeoutMs: 10_000,
    applicationName: 'gatehouse-test',
  });
}

async function makeTemplate(serverUrl: string, name: string): Promise<void> {
  await createCopy(serverUrl, { name });
  const db = openTestDatabase(withDatabase(serverUrl, name));
  try {
    await migrateUp(db);
  } finally {
    await db.destroy();
  }
}

async function dropDatabases(serverUrl: string, mine: (name: string) => boolean): Promise<void> {
  await onServer(serverUrl, async (server) => {
    const names: string[] = await server('pg_database').pluck('datname');
    for (const name of names.filter(mine)) await dropDatabase(serverUrl, name);
  });
}

async function exists(server: Knex, name: string): Promise<boolean> {
  return (await server('pg_database').where({ datname: name }).first()) !== undefined;
}

async function onServer<Result>(serverUrl: string, work: (server: Knex) => Promise<Result>): Promise<Result> {
  const server = knex({
    client: 'pg',
    connection: withDatabase(serverUrl, 'postgres'),
    pool: { min: 0, max: 1 },
  });
  try {
    return await work(server);
  } finally {
    await server.destroy();
  }
}

async function migrationsHash(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of (await readdir(MIGRATIONS)).sort()) {
    if (file.endsWith('.ts')) hash.update(file).update(await readFile(new URL(file, MIGRATIONS)));
  }
  return hash.digest('hex').slice(0, 10);
}
