import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabase } from '../../src/db/database.ts';
import { migrateDown, migrateUp, migrationStatus } from '../../src/db/migrator.ts';
import { emptyDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';

describe('migrator', () => {
  let own: OwnDatabase;
  let directory: string;

  beforeEach(async () => {
    own = await emptyDatabase();
    directory = await mkdtemp(join(tmpdir(), 'gatehouse-migrations-'));
  });

  afterEach(async () => {
    await own.drop();
    await rm(directory, { recursive: true });
  });

  async function migration(name: string, up: string, down = 'SELECT 1'): Promise<void> {
    const sql = (text: string) => `async (trx) => { await trx.raw(${JSON.stringify(text)}); }`;
    await writeFile(
      join(directory, `${name}.ts`),
      `export const up = ${sql(up)};\nexport const down = ${sql(down)};\n`,
    );
  }

  it('applies pending migrations in the order of their names and records them without extension', async () => {
    await migration('202601020000-add-column', 'ALTER TABLE a ADD COLUMN two int');
    await migration('202601010000-create-a', 'CREATE TABLE a (one int)');

    const applied = await migrateUp(own.db, { directory });

    assert.deepEqual(applied, ['202601010000-create-a', '202601020000-add-column']);
    assert.deepEqual(await own.db('schema_migrations').orderBy('name').pluck('name'), applied);
    assert.deepEqual(await migrateUp(own.db, { directory }), []);
  });

  it('applies only what was added since', async () => {
    await migration('202601010000-create-a', 'CREATE TABLE a (one int)');
    await migrateUp(own.db, { directory });
    await migration('202601020000-create-b', 'CREATE TABLE b (one int)');

    const before = await migrationStatus(own.db, { directory });
    const applied = await migrateUp(own.db, { directory });

    assert.deepEqual(before, { applied: ['202601010000-create-a'], pending: ['202601020000-create-b'] });
    assert.deepEqual(applied, ['202601020000-create-b']);
  });

  it('tells what is pending without creating anything in a fresh database', async () => {
    await migration('202601010000-create-a', 'CREATE TABLE a (one int)');

    const status = await migrationStatus(own.db, { directory });

    assert.deepEqual(status, { applied: [], pending: ['202601010000-create-a'] });
    assert.deepEqual(await own.db('pg_tables').where({ schemaname: 'public' }).pluck('tablename'), []);
  });

  it('keeps nothing of a migration that fails, and everything of those before it', async () => {
    await migration('202601010000-create-a', 'CREATE TABLE a (one int)');
    await migration('202601020000-broken', 'CREATE TABLE b (one int); SELECT 1/0');

    await assert.rejects(migrateUp(own.db, { directory }), /division by zero/);

    assert.deepEqual((await migrationStatus(own.db, { directory })).pending, ['202601020000-broken']);
    assert.equal(await own.db.schema.hasTable('a'), true);
    assert.equal(await own.db.schema.hasTable('b'), false);
  });

  it('lets migrators that start together wait, and find nothing to do', async () => {
    await migration('202601010000-create-a', 'CREATE TABLE a (one int); SELECT pg_sleep(0.3)');
    await migration('202601020000-create-b', 'CREATE TABLE b (one int)');

    const results = await Promise.all(Array.from({ length: 5 }, () => migrateUp(own.db, { directory })));

    assert.deepEqual(
      results.map(({ length }) => length).sort((a, b) => a - b),
      [0, 0, 0, 0, 2],
    );
  });

  it('is not ended by the timeouts of the pool, neither at work nor waiting for the lock', async () => {
    await migration('202601010000-slow', 'SELECT pg_sleep(0.9)');
    const impatient = createDatabase({
      url: own.url,
      poolMax: 1,
      statementTimeoutMs: 100,
      lockTimeoutMs: 100,
      acquireTimeoutMs: 5000,
    });

    try {
      const results = await Promise.all([
        migrateUp(impatient, { directory }),
        migrateUp(impatient, { directory }),
      ]);

      assert.deepEqual(
        results.map(({ length }) => length).sort((a, b) => a - b),
        [0, 1],
      );
      await assert.rejects(impatient.raw('SELECT pg_sleep(1)'), /statement timeout/);
    } finally {
      await impatient.destroy();
    }
  });

  it('lets an older version start on the schema of a newer one, but not undo what it does not know', async () => {
    await migration('202601010000-create-a', 'CREATE TABLE a (one int)', 'DROP TABLE a');
    await migration('202601020000-newer', 'SELECT 1');
    await migrateUp(own.db, { directory });
    await rm(join(directory, '202601020000-newer.ts'));

    const applied = await migrateUp(own.db, { directory });

    assert.deepEqual(applied, []);
    assert.deepEqual((await migrationStatus(own.db, { directory })).pending, []);
    await assert.rejects(migrateDown(own.db, { directory }), /no migration 202601020000-newer/);
  });

  it('undoes the last migration, or all of them', async () => {
    for (const day of [1, 2, 3]) {
      await migration(`20260101000${day}-create`, `CREATE TABLE t${day} (n int)`, `DROP TABLE t${day}`);
    }
    await migrateUp(own.db, { directory });

    const last = await migrateDown(own.db, { directory });
    const rest = await migrateDown(own.db, { directory, all: true });

    assert.deepEqual(last, ['202601010003-create']);
    assert.deepEqual(rest, ['202601010002-create', '202601010001-create']);
    assert.deepEqual(await own.db('pg_tables').where({ schemaname: 'public' }).pluck('tablename'), [
      'schema_migrations',
    ]);
  });

  it('keeps a migration whose undoing fails', async () => {
    await migration('202601010000-create-a', 'CREATE TABLE a (one int)', 'DROP TABLE a; SELECT 1/0');
    await migrateUp(own.db, { directory });

    await assert.rejects(migrateDown(own.db, { directory }), /division by zero/);

    assert.deepEqual((await migrationStatus(own.db, { directory })).applied, ['202601010000-create-a']);
    assert.equal(await own.db.schema.hasTable('a'), true);
  });
});
