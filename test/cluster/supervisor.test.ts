import assert from 'node:assert/strict';
import { createSupervisor } from '../../src/cluster/supervisor.ts';
import type { WorkerHandle } from '../../src/cluster/supervisor.ts';
import { createLogger } from '../../src/lib/logger.ts';

const log = createLogger({ level: 'silent' });

interface FakeWorker extends WorkerHandle {
  slot: number;
  serve(): void;
  end(): void;
  drained: ({ graceMs: number } | undefined)[];
}

/** Workers that do what the test says, and by themselves serve at once. */
function workshop(size: number, { servesAtOnce = true } = {}) {
  const made: FakeWorker[] = [];
  const arrivals: ((worker: FakeWorker) => void)[] = [];
  const settings = { servesAtOnce };

  const launch = (slot: number): WorkerHandle => {
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<{ code: number | null; signal: string | null }>();
    ready.promise.catch(() => {});
    const worker: FakeWorker = {
      pid: undefined,
      slot,
      ready: ready.promise,
      ended: ended.promise,
      drained: [],
      serve: ready.resolve,
      end() {
        ready.reject(new Error('ended'));
        ended.resolve({ code: 1, signal: null });
      },
      async drain(options) {
        worker.drained.push(options);
        worker.end();
        await ended.promise;
      },
    };
    if (settings.servesAtOnce) worker.serve();
    made.push(worker);
    arrivals.shift()?.(worker);
    return worker;
  };
  return {
    made,
    settings,
    supervisor: createSupervisor({ size, launch, log }),
    next: () => new Promise<FakeWorker>((resolve) => arrivals.push(resolve)),
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('supervision', () => {
  it('starts the first worker alone, and the others when it serves', async () => {
    const { supervisor, made, settings } = workshop(3, { servesAtOnce: false });

    const started = supervisor.start();
    await turn();
    const alone = made.map(({ slot }) => slot);
    settings.servesAtOnce = true;
    made[0]?.serve();
    await started;

    assert.deepEqual(alone, [1]);
    assert.deepEqual(
      made.map(({ slot }) => slot),
      [1, 2, 3],
    );
    assert.equal(supervisor.running().length, 3);
  });

  it('gives up when the first worker does not start', async () => {
    const { supervisor, made } = workshop(2, { servesAtOnce: false });

    const started = supervisor.start();
    await turn();
    made[0]?.end();

    await assert.rejects(started, /ended/);
    assert.equal(made.length, 1);
  });

  it('replaces a worker that ends, in its place, and again if that one ends', async () => {
    const { supervisor, made, next } = workshop(2);
    await supervisor.start();

    const second = next();
    made[1]?.end();
    const replacement = await second;
    await turn();
    const third = next();
    replacement.end();
    await third;
    await turn();

    assert.equal(supervisor.crashes(), 2);
    assert.deepEqual(
      made.map(({ slot }) => slot),
      [1, 2, 2, 2],
    );
    assert.equal(supervisor.running().length, 2);
    await supervisor.stop();
  });

  it('lets a worker go only when the one in its place serves, one at a time', async () => {
    const { supervisor, made, settings, next } = workshop(2);
    await supervisor.start();
    settings.servesAtOnce = false;

    const arrival = next();
    const reloaded = supervisor.reload();
    const replacement = await arrival;
    await turn();
    const before = made.map(({ drained }) => drained.length);
    settings.servesAtOnce = true;
    replacement.serve();
    await reloaded;

    assert.deepEqual(before, [0, 0, 0]);
    assert.deepEqual(
      made.map(({ slot, drained }) => [slot, drained.length]),
      [
        [1, 1],
        [2, 1],
        [1, 0],
        [2, 0],
      ],
    );
    assert.ok((made[0]?.drained[0]?.graceMs ?? 0) > 0);
    assert.equal(supervisor.crashes(), 0);
  });

  it('keeps the old workers when a new one does not start', async () => {
    const { supervisor, made, settings, next } = workshop(2);
    await supervisor.start();
    settings.servesAtOnce = false;

    const arrival = next();
    const reloaded = supervisor.reload();
    (await arrival).end();
    await reloaded;

    assert.equal(supervisor.running().length, 2);
    assert.deepEqual(
      made.map(({ drained }) => drained.length),
      [0, 0, 0],
    );
  });

  it('makes one worker, not two, for one that ends while it is being replaced', async () => {
    const { supervisor, made, settings, next } = workshop(1);
    await supervisor.start();
    settings.servesAtOnce = false;

    const arrival = next();
    const reloaded = supervisor.reload();
    const replacement = await arrival;
    made[0]?.end();
    await turn();
    replacement.serve();
    await reloaded;

    assert.equal(made.length, 2);
    assert.equal(supervisor.running().length, 1);
  });

  it('replaces a worker that ended while its replacement failed', async () => {
    const { supervisor, made, settings, next } = workshop(1);
    await supervisor.start();
    settings.servesAtOnce = false;

    const [arrival, revival] = [next(), next()];
    const reloaded = supervisor.reload();
    const replacement = await arrival;
    made[0]?.end();
    await turn();
    settings.servesAtOnce = true;
    replacement.end();
    await reloaded;
    await revival;
    await turn();

    assert.equal(supervisor.running().length, 1);
  });

  it('drains all of them at the end, also one that does not serve yet, and makes no more', async () => {
    const { supervisor, made, settings, next } = workshop(2);
    await supervisor.start();
    settings.servesAtOnce = false;
    const arrival = next();
    made[0]?.end();
    await arrival;

    await supervisor.stop();
    await turn();

    assert.deepEqual(
      made.map(({ drained }) => drained.length),
      [0, 1, 1],
    );
    assert.equal(made.length, 3);
  });
});
