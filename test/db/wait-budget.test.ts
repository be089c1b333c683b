import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { isDatabaseUnavailable } from '../../src/db/database-errors.ts';
import { createDatabase } from '../../src/db/database.ts';
import { withWaitBudget } from '../../src/db/wait-budget.ts';
import { testDatabaseUrl } from '../support/database.ts';

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
