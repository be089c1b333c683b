import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDatabaseUnavailable } from '../../src/db/database-errors.ts';
import { migrateUp, migrationStatus } from '../../src/db/migrator.ts';
import { openDatabase } from '../../src/db/open-database.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { newTenant, testDatabaseUrl } from '../support/database.ts';

const log = createLogger({ level: 'silent' });

describe('openDatabase', () => {
  let dataDir: string;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-open-'));
  });

  afterEach(() => rm(dataDir, { recursive: true }));

  it('opens the database of the URL', async () => {
    const opened = await openDatabase(
      { databaseUrl: await testDatabaseUrl(), dataDir, databasePool: 2 },
      log,
    );

    const { pending } = await migrationStatus(opened.db);
    await opened.close();

    assert.deepEqual(pending, []);
  });

  it('opens the embedded database without a URL, and its role may migrate it', async () => {
    const config = { databaseUrl: undefined, dataDir, databasePool: 2 };
    const first = await openDatabase(config, log);
    await migrateUp(first.db);
    const tenant = await newTenant(first.db);
    await first.close();

    const second = await openDatabase(config, log);
    const slugs = await second.db('tenants').pluck('slug');
    await second.close();

    assert.deepEqual(slugs, [tenant.slug]);
  });

  it('opens while the database is away, and its queries say so', async () => {
    const away = 'postgresql://127.0.0.1:1/gatehouse';

    const opened = await openDatabase({ databaseUrl: away, dataDir, databasePool: 2 }, log);

    await assert.rejects(opened.db.raw('SELECT 1'), isDatabaseUnavailable);
    await opened.close();
  });

  it('ends a statement and a wait for a lock that take too long', async () => {
    const opened = await openDatabase(
      { databaseUrl: await testDatabaseUrl(), dataDir, databasePool: 2 },
      log,
    );
    const { id } = await newTenant(opened.db);

    await assert.rejects(opened.db.raw('SELECT pg_sleep(10)'), isDatabaseUnavailable);
    await opened.db.transaction(async (trx) => {
      await trx('tenants').where({ id }).forUpdate();
      await assert.rejects(
        async () => opened.db('tenants').where({ id }).update({ name: 'New' }),
        isDatabaseUnavailable,
      );
    });

    await opened.close();
  });
});
