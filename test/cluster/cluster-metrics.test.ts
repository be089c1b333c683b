import assert from 'node:assert/strict';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { createClusterMetrics } from '../../src/cluster/cluster-metrics.ts';
import type { MeasuredWorker } from '../../src/cluster/cluster-metrics.ts';

/** A worker that has measured so many requests. */
interface Measured extends MeasuredWorker {
  measure(count: number): void;
  answers: boolean;
}

function createWorker(count = 0): Measured {
  const registry = new Registry();
  const registers = [registry];
  const tokens = new Counter({ name: 'tokens', help: 'x', labelNames: ['grant'], registers });
  const seconds = new Histogram({ name: 'seconds', help: 'x', buckets: [1, 2], registers });
  const open = new Gauge({ name: 'open', help: 'x', registers });
  const worker: Measured = {
    answers: true,
    measure(times) {
      for (let index = 0; index < times; index += 1) {
        tokens.inc({ grant: 'code' });
        seconds.observe(1.5);
        open.inc();
      }
    },
    ask: async () => {
      if (!worker.answers) throw new Error('no answer');
      // As it comes through the line between two processes.
      return JSON.parse(JSON.stringify(await registry.getMetricsAsJSON())) as unknown;
    },
  };
  worker.measure(count);
  return worker;
}

describe('the metrics of several workers', () => {
  let workers: Measured[];
  let render: () => Promise<string>;

  beforeEach(() => {
    workers = [createWorker(3), createWorker(4)];
    render = createClusterMetrics({
      workers: () => workers,
      running: () => workers.length,
      crashes: () => 0,
    });
  });

  const ended = (worker: Measured | undefined) => workers.filter((one) => one !== worker);

  async function values(): Promise<Record<string, number>> {
    const samples = [...(await render()).matchAll(/^([^#\s]+) (\S+)$/gm)];
    const wanted = ['tokens{grant="code"}', 'seconds_bucket{le="2"}', 'seconds_count', 'open'];
    return Object.fromEntries(
      samples
        .filter(([, name = '']) => wanted.includes(name))
        .map(([, name, value]) => [name, Number(value)]),
    );
  }

  const all = (total: number, open: number) => ({
    'tokens{grant="code"}': total,
    'seconds_bucket{le="2"}': total,
    seconds_count: total,
    open,
  });

  it('are their sums', async () => {
    assert.deepEqual(await values(), all(7, 7));
  });

  it('take what a worker said last for one that does not answer', async () => {
    await render();
    const [silent, other] = workers;
    if (silent) silent.answers = false;
    silent?.measure(5);
    other?.measure(1);

    const meanwhile = await values();
    if (silent) silent.answers = true;

    assert.deepEqual(meanwhile, all(8, 8));
    assert.deepEqual(await values(), all(13, 13));
  });

  it('keep what a worker counted that has ended, and forget what it held', async () => {
    await render();
    workers = [...ended(workers[0]), createWorker(2)];

    assert.deepEqual(await values(), all(9, 6));
    assert.deepEqual(await values(), all(9, 6));
  });

  it('are right for several that ask at once while one ends', async () => {
    await render();
    workers = ended(workers[0]);

    const answers = await Promise.all([values(), values(), values()]);

    for (const answer of answers) assert.deepEqual(answer, all(7, 4));
  });

  it('do not grow with the workers that have ended', async () => {
    const before = (await render()).split('\n').length;

    for (let index = 0; index < 50; index += 1) {
      workers = [...workers.slice(1), createWorker(1)];
      await render();
    }

    assert.equal((await render()).split('\n').length, before);
    assert.deepEqual(await values(), all(57, 2));
  });
});
