import { readdir } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import knex from 'knex';
import type { Knex } from 'knex';

/**
 * Brings the schema up or down, one transaction a migration, under a lock that lets any number of
 * replicas start at once. It is our own few lines because knex's migrator removes a migration's record
 * outside the transaction that undid it, and leaves its lock behind when it is killed.
 */

interface Migration {
  /** The file's name without extension: the same whether the file is run as it is or built. */
  name: string;
  up(trx: Knex): Promise<void>;
  down(trx: Knex): Promise<void>;
}

export interface MigratorOptions {
  /** Where the migration files are. */
  directory?: string;
  /** Called before each one. */
  onMigration?: (name: string) => void;
}

export interface MigrationStatus {
  applied: string[];
  pending: string[];
}

const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url));
// Advisory locks are per database; the number means nothing but "gatehouse migrations".
const LOCK = 4_720_186_355;
const LOCK_POLL_MS = 100;

/**
 * Applies what is pending, in order. Migrations a newer version applied are left alone, so that the
 * version before it still starts.
 * @returns the names of those applied by this call
 */
export async function migrateUp(db: Knex, options: MigratorOptions = {}): Promise<string[]> {
  const migrations = await loadMigrations(options.directory);
  return underLock(db, async (session) => {
    const applied = await appliedNames(session);
    const pending = migrations.filter(({ name }) => !applied.includes(name));
    for (const migration of pending) {
      options.onMigration?.(migration.name);
      await session.transaction(async (trx) => {
        // First, so that a second migrator would stop here even if this session had lost its lock.
        await trx('schema_migrations').insert({ name: migration.name });
        await migration.up(trx);
      });
    }
    return pending.map(({ name }) => name);
  });
}

/**
 * Undoes the last migration, or all of them.
 * @returns the names of those undone
 */
export async function migrateDown(
  db: Knex,
  options: MigratorOptions & { all?: boolean } = {},
): Promise<string[]> {
  const migrations = await loadMigrations(options.directory);
  return underLock(db, async (session) => {
    const applied = (await appliedNames(session)).toReversed();
    const undo = options.all ? applied : applied.slice(0, 1);
    for (const name of undo) {
      const migration = migrations.find((known) => known.name === name);
      if (!migration) throw new Error(`This version has no migration ${name}, so it cannot undo it`);
      options.onMigration?.(name);
      await session.transaction(async (trx) => {
        await trx('schema_migrations').where({ name }).delete();
        await migration.down(trx);
      });
    }
    return undo;
  });
}

/** Reads only, and takes no lock: readiness asks for it while another replica migrates. */
export async function migrationStatus(db: Knex, options: MigratorOptions = {}): Promise<MigrationStatus> {
  const names = await migrationNames(options.directory);
  const { rows } = await db.raw(`SELECT to_regclass('schema_migrations') IS NOT NULL AS exists`);
  const applied = rows[0].exists ? await appliedNames(db) : [];
  return { applied, pending: names.filter((name) => !applied.includes(name)) };
}

async function migrationNames(directory = MIGRATIONS): Promise<string[]> {
  const files = await readdir(directory);
  return files
    .filter((file) => /^\d{12}-[a-z0-9-]+\.(ts|js)$/.test(file))
    .map((file) => file.replace(/\.(ts|js)$/, ''))
    .sort();
}

async function loadMigrations(directory = MIGRATIONS): Promise<Migration[]> {
  const files = new Set(await readdir(directory));
  const names = await migrationNames(directory);
  return Promise.all(
    names.map(async (name) => {
      const file = files.has(`${name}.ts`) ? `${name}.ts` : `${name}.js`;
      const { up, down } = await import(pathToFileURL(join(directory, file)).href);
      if (typeof up !== 'function' || typeof down !== 'function') {
        throw new Error(`The migration ${name} must export up and down`);
      }
      return { name, up, down };
    }),
  );
}

async function appliedNames(db: Knex): Promise<string[]> {
  const rows: { name: string }[] = await db('schema_migrations').select('name').orderBy('name');
  return rows.map(({ name }) => name);
}

/** A session of its own: the pool's timeouts would end a long migration or the wait for the lock. */
async function underLock<Result>(db: Knex, work: (session: Knex) => Promise<Result>): Promise<Result> {
  const { connection } = db.client.config;
  const session = knex({
    client: 'pg',
    connection: {
      ...connection,
      application_name: 'gatehouse-migrate',
      query_timeout: 0,
      options: '-c timezone=UTC -c statement_timeout=0 -c lock_timeout=0',
    },
    pool: { min: 0, max: 1, idleTimeoutMillis: 2 ** 31 - 1 },
  });
  try {
    // Asking again and again, because a session that waits inside pg_advisory_lock() holds a snapshot,
    // and the migrator it waits for may be in a CREATE INDEX CONCURRENTLY that waits for all snapshots.
    while (!(await tryLock(session))) await sleep(LOCK_POLL_MS);
    await session.raw(`
      CREATE TABLE IF NOT EXISTS schema_migrations (
        name text PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT now()
      )
    `);
    return await work(session);
  } finally {
    // The lock ends with its session.
    await session.destroy();
  }
}

async function tryLock(session: Knex): Promise<boolean> {
  const { rows } = await session.raw('SELECT pg_try_advisory_lock(?) AS locked', [LOCK]);
  return rows[0].locked;
}
