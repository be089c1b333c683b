import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { isDatabaseUnavailable } from '../../src/db/database-errors.ts';
import { WaitBudgetSpent, withWaitBudget } from '../../src/db/wait-budget.ts';
import { systemActor } from '../../src/http/actor.ts';
import { holdGate } from '../../src/oidc/adapter/family-gate.ts';
import { guarded, StoreUnavailable } from '../../src/oidc/adapter/store-errors.ts';
import { inUnitOfWork } from '../../src/oidc/adapter/unit-of-work.ts';
import { testDb } from '../support/database.ts';

describe('the gate of a token', () => {
  let db: Knex;
  before(async () => {
    db = await testDb();
  });

  /** A request with the token, which is over when the work is. */
  const request = (key: string, work: () => Promise<void>) =>
    inUnitOfWork({ db, kind: 'token', actor: () => systemActor('') }, async (unit) => {
      await guarded(() => holdGate(unit, key));
      await work();
      return true;
    });

  it('lets one request at a time through, in the order of their coming', async () => {
    const key = randomUUID();
    const seen: string[] = [];

    await Promise.all(
      [1, 2, 3].map((number) =>
        request(key, async () => {
          seen.push(`${number} in`);
          await new Promise(setImmediate);
          seen.push(`${number} out`);
        }),
      ),
    );

    assert.deepEqual(seen, ['1 in', '1 out', '2 in', '2 out', '3 in', '3 out']);
  });

  it('tells those who have waited as long as a request may, all at that time, that the store is unavailable', async () => {
    const key = randomUUID();
    const { promise: stalled, resolve: goOn } = Promise.withResolvers<void>();
    let entered = 0;
    const enter = async () => void (entered += 1);
    const first = request(key, () => stalled);

    const outcomes = await Promise.allSettled(
      [1, 2, 3].map(() => withWaitBudget(20, () => request(key, enter))),
    );
    goOn();
    await first;

    for (const outcome of outcomes) {
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof StoreUnavailable);
      assert.ok(
        outcome.reason.cause instanceof WaitBudgetSpent && isDatabaseUnavailable(outcome.reason.cause),
      );
    }
    assert.equal(entered, 0);
  });

  it('keeps those out who come after somebody that gave up, until all ahead are through', async () => {
    const key = randomUUID();
    const { promise: stalled, resolve: goOn } = Promise.withResolvers<void>();
    const seen: string[] = [];
    const first = request(key, async () => {
      await stalled;
      seen.push('first');
    });
    await assert.rejects(withWaitBudget(20, () => request(key, async () => void seen.push('gave up'))));

    const next = request(key, async () => void seen.push('next'));
    await new Promise(setImmediate);
    goOn();
    await Promise.all([first, next]);

    assert.deepEqual(seen, ['first', 'next']);
  });
});
