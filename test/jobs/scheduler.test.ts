import assert from 'node:assert/strict';
import { createScheduler } from '../../src/jobs/scheduler.ts';
import type { Job } from '../../src/jobs/job.ts';
import { memoryLog } from './support.ts';

const everySeconds = 0.001;

/** A job that resolves `reached` when it has begun that many times. */
function countedJob(count: number, work: (run: number, signal: AbortSignal) => Promise<void>) {
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  let runs = 0;
  const job: Job = {
    name: 'counted',
    everySeconds,
    async run(signal) {
      runs += 1;
      if (runs === count) resolve();
      await work(runs, signal);
    },
  };
  return { job, reached, runs: () => runs };
}

describe('scheduler', () => {
  it('runs a job again and again, never beside itself', async () => {
    let running = 0;
    let most = 0;
    const { job, reached } = countedJob(10, async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    });
    const scheduler = createScheduler({ jobs: [job], log: memoryLog().log });

    scheduler.start();
    await reached;
    await scheduler.stop();

    assert.equal(most, 1);
    assert.equal(running, 0);
  });

  it('logs a failed run and goes on', async () => {
    const { log, lines } = memoryLog();
    const { job, reached } = countedJob(3, async (run) => {
      if (run < 3) throw new Error(`run ${run} failed`);
    });
    const scheduler = createScheduler({ jobs: [job], log });

    scheduler.start();
    await reached;
    await scheduler.stop();

    const failures = lines().filter((line) => line.level === 'error');
    assert.deepEqual(
      failures.map((line) => [line.job, line.err?.message]),
      [
        ['counted', 'run 1 failed'],
        ['counted', 'run 2 failed'],
      ],
    );
  });

  it('does not let one job hold up another', async () => {
    const blocked = countedJob(
      1,
      (_run, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    );
    const free = countedJob(5, async () => undefined);
    const scheduler = createScheduler({ jobs: [blocked.job, free.job], log: memoryLog().log });

    scheduler.start();
    await Promise.all([blocked.reached, free.reached]);
    await scheduler.stop();

    assert.equal(blocked.runs(), 1);
  });

  it('tells a running job to end at stop, waits for it, and begins nothing new', async () => {
    const order: string[] = [];
    const finish = Promise.withResolvers<void>();
    const { job, reached, runs } = countedJob(1, async (_run, signal) => {
      signal.addEventListener('abort', () => order.push('told'));
      await finish.promise;
      order.push('ended');
    });
    const scheduler = createScheduler({ jobs: [job], log: memoryLog().log });
    scheduler.start();
    await reached;

    const stopped = scheduler.stop().then(() => order.push('stopped'));
    finish.resolve();
    await stopped;

    assert.deepEqual(order, ['told', 'ended', 'stopped']);
    assert.equal(runs(), 1);
  });

  it('stops at once while it waits for a time far away', async () => {
    const { job, runs } = countedJob(1, async () => undefined);
    const scheduler = createScheduler({
      jobs: [{ ...job, everySeconds: 86_400 }],
      log: memoryLog().log,
      random: () => 0.99,
    });

    scheduler.start();
    await scheduler.stop();

    assert.equal(runs(), 0);
  });

  it('cannot be started twice, which would run a job beside itself', async () => {
    const scheduler = createScheduler({
      jobs: [countedJob(1, async () => undefined).job],
      log: memoryLog().log,
    });
    scheduler.start();

    assert.throws(() => scheduler.start(), /started before/);

    await scheduler.stop();
  });
});
