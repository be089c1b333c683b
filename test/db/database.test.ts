import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { connectionWaits, databaseTimeouts, statements } from '../../src/lib/instruments.ts';
import { newId } from '../../src/lib/ids.ts';
import { testDatabaseUrl, testDb } from '../support/database.ts';
import { createDatabase, prepared } from '../../src/db/database.ts';
import { beginWait, withWaitBudget } from '../../src/db/wait-budget.ts';
import { startTcpProxy } from '../faults/support/tcp-proxy.ts';
import type { TcpProxy } from '../faults/support/tcp-proxy.ts';

describe('the connection pool', function () {
  this.timeout(30_000);
  let proxy: TcpProxy;
  let db: Knex;
  before(async () => {
    const url = new URL(await testDatabaseUrl());
    const socket = url.searchParams.get('host');
    proxy = await startTcpProxy(socket ? `${socket}/.s.PGSQL.5432` : Number(url.port || 5432));
    const user = url.searchParams.get('user') ?? url.username;
    const credentials = url.password ? `${user}:${url.password}` : user;
    db = createDatabase({
      url: `postgresql://${credentials}@127.0.0.1:${proxy.port}${url.pathname}?sslmode=disable`,
      poolMax: 1,
      statementTimeoutMs: 500,
      lockTimeoutMs: 500,
      acquireTimeoutMs: 1000,
    });
  });
  after(async () => {
    await db.destroy();
    await proxy.close();
  });

  it('hands out no connection again that was told its session ends', async () => {
    for (let round = 0; round < 20; round += 1) {
      await assert.rejects(async () => db.raw('SELECT pg_terminate_backend(pg_backend_pid())'));

      const { rows } = await db.raw('SELECT 1 AS answer');

      assert.equal(rows[0].answer, 1);
    }
  });

  it('hands out no connection again whose query got no answer', async () => {
    const { rows: before } = await db.raw('SELECT pg_backend_pid() AS pid');
    proxy.stall('to-client');
    await assert.rejects(async () => db.raw('SELECT 1'), /Query read timeout/);
    proxy.resume();

    const { rows: after } = await db.raw('SELECT pg_backend_pid() AS pid');

    assert.notEqual(after[0].pid, before[0].pid);
  });

  it('tells of every wait that was in vain, and for what', async () => {
    const kinds: string[] = [];
    const stop = databaseTimeouts.observe(({ kind }) => kinds.push(kind));
    const other = await (await testDb()).transaction();
    await other.raw('SELECT pg_advisory_xact_lock(74001)');
    const inVain = [
      () =>
        db.transaction(async (trx) => {
          // Before the statement itself has taken too long.
          await trx.raw("SET LOCAL lock_timeout = '100ms'");
          await trx.raw('SELECT pg_advisory_xact_lock(74001)');
        }),
      () => db.raw('SELECT pg_sleep(10)'),
      () => db.transaction(() => db.raw('SELECT 1')),
      () => withWaitBudget(0, async () => db.raw('SELECT 1')),
      () => {
        proxy.stall('to-client');
        return db.raw('SELECT 1');
      },
    ];

    for (const wait of inVain) await assert.rejects(async () => wait());
    proxy.resume();
    await other.rollback();
    stop();

    assert.deepEqual(kinds, ['lock', 'statement', 'connection', 'connection', 'answer']);
  });

  it('tells how long was waited for a connection, and for statements without a name by their command', async () => {
    const waits: number[] = [];
    const commands: string[] = [];
    const stop = [
      connectionWaits.observe(({ seconds }) => waits.push(seconds)),
      statements.observe(({ name }) => commands.push(name)),
    ];

    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const holding = db.transaction(async (trx) => {
      ask();
      await trx.raw('SELECT pg_sleep(0.1)');
    });
    await asked;
    await db('tenants').where('id', newId()).update({ name: 'Nobody' });
    await holding;
    for (const end of stop) end();

    assert.equal(waits.length, 2);
    assert.ok((waits[1] ?? 0) > 0.05, String(waits[1]));
    assert.deepEqual(commands, ['begin', 'select', 'commit', 'update']);
  });

  it('hands out no connection again whose transaction was not ended', async () => {
    const { rows: before } = await db.raw('SELECT pg_backend_pid() AS pid');
    await db.raw('BEGIN');

    const { rows: after } = await db.raw('SELECT pg_backend_pid() AS pid');

    assert.notEqual(after[0].pid, before[0].pid);
  });

  it('keeps a connection whose statement or transaction failed and was undone', async () => {
    const { rows: before } = await db.raw('SELECT pg_backend_pid() AS pid');
    await assert.rejects(async () => db.raw('SELECT 1 / 0'), /division by zero/);
    await assert.rejects(
      db.transaction((trx) => trx.raw('SELECT 1 / 0')),
      /division by zero/,
    );

    const { rows: after } = await db.raw('SELECT pg_backend_pid() AS pid');

    assert.equal(after[0].pid, before[0].pid);
  });

  it('refuses a second statement under the name of another', async () => {
    await prepared(db, 'test_one_name', 'SELECT ?::int AS answer', [1]);

    await assert.rejects(prepared(db, 'test_one_name', 'SELECT ?::int AS number', [1]), /test_one_name/);
  });

  it('tells of a commit without an answer in time, and ends its connection', async () => {
    const { rows: before } = await db.raw('SELECT pg_backend_pid() AS pid');

    const work = withWaitBudget(200, async () =>
      db.transaction(async (trx) => {
        await trx.raw('SELECT 1');
        const end = beginWait();
        await new Promise((resolve) => setTimeout(resolve, 250));
        end();
        proxy.stall('to-client');
      }),
    );

    await assert.rejects(work, /Query read timeout/);
    proxy.resume();
    const { rows: after } = await db.raw('SELECT pg_backend_pid() AS pid');
    assert.notEqual(after[0].pid, before[0].pid);
  });
});
