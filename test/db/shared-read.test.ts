import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { findShared } from '../../src/db/shared-read.ts';
import type { RowRead } from '../../src/db/shared-read.ts';
import { WaitBudgetSpent, withWaitBudget } from '../../src/db/wait-budget.ts';
import { sha256 } from '../../src/lib/ids.ts';
import { testDb } from '../support/database.ts';

interface Row {
  id_hash: Buffer;
  value: string;
}

describe('a shared read', () => {
  let db: Knex;
  let table: string;
  let tenantId: string;
  /** Statements as PostgreSQL gets them. */
  let sent: string[];
  const collect = ({ sql }: { sql: string }) => sent.push(sql);

  before(async () => {
    db = await testDb();
    table = `shared_${randomUUID().slice(0, 8)}`;
    await db.raw('CREATE TABLE ?? (tenant_id uuid, id_hash bytea, value text)', [table]);
  });
  after(() => db.raw('DROP TABLE ??', [table]));
  beforeEach(() => {
    tenantId = randomUUID();
    sent = [];
    db.on('query', collect);
  });
  afterEach(() => db.removeListener('query', collect));

  const insert = (id: string, value: string, tenant = tenantId) =>
    db.raw('INSERT INTO ?? VALUES (?, ?, ?)', [table, tenant, sha256(id), value]);

  function read(id: string, { sleepSeconds = 0, column = 'value' } = {}): RowRead {
    return {
      name: `test_${table}_${column}_${sleepSeconds}`,
      sql: (hash) =>
        `SELECT id_hash, ${column} FROM ${table} WHERE id_hash = ${hash} AND tenant_id = ?
           AND (SELECT pg_sleep(${sleepSeconds})) IS NOT NULL`,
      tenantId,
      idHash: sha256(id),
    };
  }
  const find = (id: string, options?: Parameters<typeof read>[1]) =>
    findShared<Row>(db, read(id, options)).then((row) => row?.value);

  it('gives everybody who asks at once their own row, with one statement for all', async () => {
    await Promise.all(['a', 'b', 'c'].map((id) => insert(id, `value of ${id}`)));
    sent = [];

    const values = await Promise.all(['a', 'b', 'nobody', 'c', 'a'].map((id) => find(id)));

    assert.deepEqual(values, ['value of a', 'value of b', undefined, 'value of c', 'value of a']);
    assert.equal(sent.length, 1);
  });

  it('finds no row of another tenant', async () => {
    await insert('a', 'theirs', randomUUID());
    await insert('b', 'mine');

    assert.deepEqual(await Promise.all([find('a'), find('b')]), [undefined, 'mine']);
  });

  it('sees what was committed before it was asked for, however busy the database is', async () => {
    await insert('a', 'before');
    const slow = { sleepSeconds: 0.2 };
    // As many statements as may be under way, and some who wait for their turn.
    const busy = [find('a', slow)];
    await new Promise((resolve) => setImmediate(resolve));
    busy.push(find('b', slow));
    await new Promise((resolve) => setImmediate(resolve));
    busy.push(find('c', slow));

    await db.raw("UPDATE ?? SET value = 'after' WHERE tenant_id = ?", [table, tenantId]);
    const seen = await find('a', slow);
    await Promise.all(busy);

    assert.equal(seen, 'after');
  });

  it('asks at most so much at a time that all are answered', async () => {
    const ids = Array.from({ length: 200 }, (_, index) => `id-${index}`);
    await Promise.all(ids.map((id) => insert(id, id)));
    sent = [];

    assert.deepEqual(await Promise.all(ids.map((id) => find(id))), ids);
    assert.equal(sent.length, 4);
  });

  it('fails for everybody in it, and for nobody after them', async () => {
    const failing = { column: '1 / 0 AS value' };
    await Promise.all([insert('a', 'mine'), insert('b', 'mine')]);

    const results = await Promise.allSettled([find('a', failing), find('b', failing)]);

    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    assert.deepEqual(await Promise.all([find('a'), find('b')]), ['mine', 'mine']);
  });

  it('sees, within a transaction, what that has written', async () => {
    const value = await db.transaction(async (trx) => {
      await trx.raw('INSERT INTO ?? VALUES (?, ?, ?)', [table, tenantId, sha256('a'), 'not committed']);
      const [inside, outside] = await Promise.all([findShared<Row>(trx, read('a')), find('a')]);
      return [inside?.value, outside];
    });

    assert.deepEqual(value, ['not committed', undefined]);
  });

  it('lets go who has waited long enough, and answers the others', async () => {
    await Promise.all([insert('a', 'mine'), insert('b', 'mine')]);
    const slow = { sleepSeconds: 0.3 };

    const [hurried, patient] = await Promise.allSettled([
      withWaitBudget(50, () => find('a', slow)),
      find('b', slow),
    ]);

    assert.ok(hurried.status === 'rejected' && hurried.reason instanceof WaitBudgetSpent);
    assert.deepEqual(patient, { status: 'fulfilled', value: 'mine' });
  });
});
