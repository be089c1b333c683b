import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { isDatabaseUnavailable } from '../../src/db/database-errors.ts';
import { createDatabase } from '../../src/db/database.ts';
import { beginWait, waitLeftMs, withWaitBudget } from '../../src/db/wait-budget.ts';
import { newTenant, testDatabaseUrl, testDb } from '../support/database.ts';

describe('the budget of waits for the database', () => {
  let db: Knex;
  before(async () => {
    db = createDatabase({
      url: await testDatabaseUrl(),
      poolMax: 1,
      statementTimeoutMs: 5000,
      lockTimeoutMs: 5000,
      acquireTimeoutMs: 5000,
    });
  });
  after(() => db.destroy());

  const sleep = (seconds: number) => db.raw('SELECT pg_sleep(?)', [seconds]);

  it('ends a query that takes longer than is left', async () => {
    const work = withWaitBudget(100, async () => sleep(4));

    await assert.rejects(work, isDatabaseUnavailable);
  });

  it('counts all waits of a request together', async () => {
    let done = 0;

    const work = withWaitBudget(300, async () => {
      for (;;) {
        await sleep(0.07);
        done += 1;
      }
    });

    await assert.rejects(work, isDatabaseUnavailable);
    assert.ok(done > 0 && done < 5, `${done} queries`);
  });

  it('counts the wait for a connection, which goes back to the pool when it comes too late', async () => {
    const trx = await db.transaction();

    await assert.rejects(
      withWaitBudget(50, async () => db.raw('SELECT 1')),
      isDatabaseUnavailable,
    );
    await trx.rollback();

    const { rows } = await db.raw('SELECT 1 AS answer');
    assert.equal(rows[0].answer, 1);
  });

  it('does not count what the request does between', async () => {
    const later = await withWaitBudget(150, async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      return db.raw('SELECT 1 AS answer');
    });

    assert.equal(later.rows[0].answer, 1);
  });

  it('counts waits at the same time once', async () => {
    await withWaitBudget(400, async () => {
      const ends = Array.from({ length: 10 }, () => beginWait());
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (const end of ends) end();
      return db.raw('SELECT 1');
    });
  });

  it('lets a wait that begins beside another have what the request has left by then', async () => {
    await withWaitBudget(200, async () => {
      beginWait();
      await new Promise((resolve) => setTimeout(resolve, 250));

      assert.ok((waitLeftMs() ?? 1) < 0);
    });
  });

  it('undoes what the request did when nothing is left', async () => {
    const name = `wait_budget_${process.pid}`;

    const work = withWaitBudget(150, async () =>
      db.transaction(async (trx) => {
        await trx.raw('CREATE TABLE ?? ()', [name]);
        await trx.raw('SELECT pg_sleep(4)');
      }),
    );

    await assert.rejects(work);
    assert.equal(await db.schema.hasTable(name), false);
  });

  /** As another wait of the same request does that ends meanwhile. */
  async function spendBudget(): Promise<void> {
    const end = beginWait();
    await new Promise((resolve) => setTimeout(resolve, 250));
    end();
  }

  it('commits what was done though nothing is left by then', async () => {
    const tenant = await newTenant(db);
    const other = await testDb();

    await withWaitBudget(200, async () =>
      db.transaction(async (trx) => {
        await trx('tenants').where({ id: tenant.id }).update({ name: 'Committed' });
        await spendBudget();
      }),
    );

    assert.equal((await other('tenants').where({ id: tenant.id }).first('name')).name, 'Committed');
  });

  it('commits what was done within a transaction of a transaction though nothing is left by then', async () => {
    const tenant = await newTenant(db);
    const other = await testDb();

    await withWaitBudget(200, async () =>
      db.transaction((trx) =>
        trx.transaction(async (inner) => {
          await inner('tenants').where({ id: tenant.id }).update({ name: 'Committed' });
          await spendBudget();
        }),
      ),
    );

    assert.equal((await other('tenants').where({ id: tenant.id }).first('name')).name, 'Committed');
  });

  it('undoes everything when a statement is refused, and leaves no transaction on the connection', async () => {
    const tenant = await newTenant(db);

    const work = withWaitBudget(200, async () =>
      db.transaction(async (trx) => {
        await trx('tenants').where({ id: tenant.id }).update({ name: 'Half done' });
        await spendBudget();
        await trx.raw('SELECT 1');
      }),
    );

    await assert.rejects(work, isDatabaseUnavailable);
    assert.equal((await db('tenants').where({ id: tenant.id }).first('name')).name, `Tenant ${tenant.slug}`);
    await db('tenants').where({ id: tenant.id }).update({ name: 'Afterwards' });
    const other = await testDb();
    assert.equal((await other('tenants').where({ id: tenant.id }).first('name')).name, 'Afterwards');
  });

  it('limits nothing that goes on after the request', async () => {
    let goOn = () => {};
    const answered = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let afterwards: Promise<{ rows: { answer: number }[] }> | undefined;
    await withWaitBudget(50, async () => {
      afterwards = answered.then(async () => db.raw('SELECT pg_sleep(0.1), 1 AS answer'));
    });

    goOn();

    assert.equal((await afterwards)?.rows[0]?.answer, 1);
  });
});
