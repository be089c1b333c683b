import assert from 'node:assert/strict';
import fc from 'fast-check';
import { NoTurnError, createWorkQueue } from '../../src/users/work-queue.ts';

describe('work queue', () => {
  it('never runs more at once than allowed, whatever comes and fails, and gives every place back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 6 }),
        fc.array(fc.record({ fails: fc.boolean(), turns: fc.nat({ max: 5 }) }), { maxLength: 20 }),
        async (concurrency, maxQueue, tasks) => {
          const queue = createWorkQueue({ concurrency, maxQueue });
          let running = 0;
          let most = 0;

          const outcomes = await Promise.allSettled(
            tasks.map(({ fails, turns }) =>
              queue.run(async () => {
                running += 1;
                most = Math.max(most, running);
                for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
                running -= 1;
                if (fails) throw new Error('task');
              }),
            ),
          );

          const refused = outcomes.filter(
            (outcome) => outcome.status === 'rejected' && outcome.reason instanceof NoTurnError,
          );
          assert.ok(most <= concurrency);
          assert.equal(refused.length, Math.max(0, tasks.length - concurrency - maxQueue));
          assert.deepEqual(queue.stats(), { running: 0, queued: 0, rejected: refused.length });
        },
      ),
    );
  });

  it('serves in the order of arrival', async () => {
    const queue = createWorkQueue({ concurrency: 1, maxQueue: 10 });
    const order: number[] = [];

    await Promise.all([0, 1, 2, 3].map((number) => queue.run(async () => void order.push(number))));

    assert.deepEqual(order, [0, 1, 2, 3]);
  });

  it('turns away who waits too long, and loses neither a place nor those behind', async () => {
    const queue = createWorkQueue({ concurrency: 1, maxQueue: 3, maxWaitMs: 20 });
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    let begun = 0;
    const task = async () => void (begun += 1);
    const inside = queue.run(() => done);

    const outcomes = await Promise.allSettled([queue.run(task), queue.run(task), queue.run(task)]);
    const afterwards = queue.stats();
    const late = queue.run(task);
    finish();
    await Promise.all([inside, late]);

    assert.ok(outcomes.every((one) => one.status === 'rejected' && one.reason instanceof NoTurnError));
    assert.deepEqual(afterwards, { running: 1, queued: 0, rejected: 3 });
    assert.equal(begun, 1);
    assert.deepEqual(queue.stats(), { running: 0, queued: 0, rejected: 3 });
    assert.equal(await queue.run(async () => 'a place is free'), 'a place is free');
  });

  it('serves those whose turn came in time, however long their work takes', async () => {
    const queue = createWorkQueue({ concurrency: 1, maxQueue: 1, maxWaitMs: 20 });
    const pause = () => new Promise<string>((resolve) => setTimeout(resolve, 60, 'served'));

    const inside = queue.run(async () => {});
    const next = queue.run(pause);

    await inside;
    assert.equal(await next, 'served');
  });
});
