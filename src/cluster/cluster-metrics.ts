import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';

type Exported = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/**
 * The metrics of all workers as one, in Prometheus' text format, with those of the supervision. A worker
 * that does not answer at once is left out.
 */
export function createClusterMetrics({
  running,
  crashes,
}: {
  running: () => readonly { ask(topic: string): Promise<unknown> }[];
  crashes: () => number;
}): () => Promise<string> {
  const own = new Registry();
  const registers = [own];
  const workers: Gauge = new Gauge({
    name: 'gatehouse_workers',
    help: 'Worker processes that serve.',
    registers,
    collect: () => workers.set(running().length),
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

  return async () => {
    const answers = await Promise.allSettled(running().map((worker) => worker.ask('metrics')));
    const exported = answers.flatMap((answer) =>
      answer.status === 'fulfilled' && Array.isArray(answer.value) ? [answer.value as Exported] : [],
    );
    const all = AggregatorRegistry.aggregate([...exported, await own.getMetricsAsJSON()]);
    return all.metrics();
  };
}
