import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { withLease } from '../../src/jobs/lease.ts';
import { testDatabaseUrl, testDb } from '../support/database.ts';
import { openTestDatabase } from '../support/test-databases.ts';

describe('lease', () => {
  let db: Knex;
  let other: Knex;

  before(async () => {
    db = await testDb();
    other = openTestDatabase(await testDatabaseUrl());
  });

  after(async () => {
    await other.destroy();
  });

  it('lets nobody else run the same work until it has ended', async () => {
    const name = randomUUID();
    const seen: unknown[] = [];

    const first = await withLease(db, name, async () => {
      seen.push(await withLease(other, name, async () => 'second'));
      seen.push(await withLease(other, `${name}-else`, async () => 'other work'));
      return 'first';
    });

    assert.deepEqual(first, { ran: true, result: 'first' });
    assert.deepEqual(seen, [{ ran: false }, { ran: true, result: 'other work' }]);
    assert.deepEqual(await withLease(other, name, async () => 'after'), { ran: true, result: 'after' });
  });

  it('is given up when the work fails', async () => {
    const name = randomUUID();

    const failure = withLease(db, name, async () => {
      throw new Error('work failed');
    });

    await assert.rejects(failure, /work failed/);
    assert.deepEqual(await withLease(other, name, async () => 1), { ran: true, result: 1 });
  });

  it('is free again when the holder loses its connection', async () => {
    const name = randomUUID();
    let taken: unknown;

    const holder = withLease(other, name, async (trx) => {
      const { rows } = await trx.raw('SELECT pg_backend_pid() AS pid');
      await db.raw('SELECT pg_terminate_backend(?, 5000)', [rows[0].pid]);
      taken = await withLease(db, name, async () => 'taken over');
    });

    await assert.rejects(holder);
    assert.deepEqual(taken, { ran: true, result: 'taken over' });
  });

  it('outlives the limit on idle transactions, in its own transaction only', async () => {
    const idleLimit = async (trx: Knex) =>
      (await trx.raw("SELECT current_setting('idle_in_transaction_session_timeout') AS limit")).rows[0].limit;
    const single = openTestDatabase(await testDatabaseUrl());
    const before = await idleLimit(single);
    try {
      const held = await withLease(single, randomUUID(), idleLimit);

      assert.deepEqual(held, { ran: true, result: '10min' });
      assert.equal(await idleLimit(single), before);
    } finally {
      await single.destroy();
    }
  });
});
