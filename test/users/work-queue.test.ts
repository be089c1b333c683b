import assert from 'node:assert/strict';
import fc from 'fast-check';
import { QueueFullError, createWorkQueue } from '../../src/users/work-queue.ts';

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
            (outcome) => outcome.status === 'rejected' && outcome.reason instanceof QueueFullError,
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
});
