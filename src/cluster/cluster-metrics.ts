import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';

type Exported = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** A worker that has served, until it has ended. */
export interface MeasuredWorker {
  ask(topic: string): Promise<unknown>;
}

/**
 * The metrics of all workers as one, in Prometheus' text format, with those of the supervision. Sums must not
 * go down, which Prometheus takes for a start from zero: what a worker said last stands in for one that does
 * not answer at once, and what those counted that have ended stays in the sums. It is kept as one sum for each
 * time series, however many have ended.
 */
export function createClusterMetrics({
  workers,
  running,
  crashes,
}: {
  workers: () => readonly MeasuredWorker[];
  /** How many serve. */
  running: () => number;
  crashes: () => number;
}): () => Promise<string> {
  const own = new Registry();
  const registers = [own];
  const serving: Gauge = new Gauge({
    name: 'gatehouse_workers',
    help: 'Worker processes that serve.',
    registers,
    collect: () => serving.set(running()),
  });
  const ended: Counter = new Counter({
    name: 'gatehouse_worker_crashes_total',
    help: 'Worker processes that ended by themselves and were replaced.',
    registers,
    collect() {
      ended.reset();
      ended.inc(crashes());
    },
  });

  const latest = new Map<MeasuredWorker, Exported>();
  /** Of those that have ended. */
  let past: Promise<Exported> = Promise.resolve([]);

  async function read(worker: MeasuredWorker): Promise<void> {
    const answer = await worker.ask('metrics').catch(() => undefined);
    // Of one that has ended meanwhile the sum may be taken already.
    if (Array.isArray(answer) && workers().includes(worker)) latest.set(worker, answer as Exported);
  }

  function settleEnded(): void {
    const alive = new Set(workers());
    for (const [worker, exported] of latest) {
      if (alive.has(worker)) continue;
      latest.delete(worker);
      const totals = exported.filter(({ type }) => ACCUMULATING.has(String(type)));
      past = past.then((before) => AggregatorRegistry.aggregate([before, totals]).getMetricsAsJSON());
    }
  }

  return async () => {
    await Promise.all(workers().map(read));
    settleEnded();
    // Taken together, before anybody else moves one from here to there.
    const exported = [...latest.values()];
    const all = AggregatorRegistry.aggregate([await past, ...exported, await own.getMetricsAsJSON()]);
    return all.metrics();
  };
}

/** What says something of now ends with the worker. Types come as their names. */
const ACCUMULATING = new Set(['counter', 'histogram', 'summary']);
