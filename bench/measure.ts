import { openConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import { keepApart, keepHashersApart } from './cores.ts';
import { cpuSecondsOf } from './cpu-time.ts';
import { drive, percentile } from './driver.ts';
import type { Operation } from './driver.ts';
import type { Row } from './rows/row.ts';
import type { ServerProcess } from './server-process.ts';
import type { Target } from './target.ts';

/** A server that is up, and what is known of it. */
export interface Server {
  process: ServerProcess;
  target: Target;
}

export interface Result {
  operations: number;
  opsPerSecond: number;
  /** Milliseconds. */
  p50: number;
  p95: number;
  p99: number;
  /** Of the server's processes; CPU the driver takes is not among it. */
  opsPerCpuSecond: number;
  /** Cores the server's processes had on average. */
  cores: number;
  requestsPerOperation: number;
}

export interface StoreUse {
  queriesPerOperation: number;
  commitsPerOperation: number;
  /** Statement -> times an operation. */
  statements: Record<string, number>;
}

/**
 * @param load.hashers how many passwords the server hashes at once, if it does
 * @throws at the first answer that is not what it has to be
 */
export async function measure(
  row: Row,
  { process, target }: Server,
  {
    warmUpSeconds,
    seconds,
    hashers,
  }: { warmUpSeconds: number; seconds: number; hashers?: number | undefined },
): Promise<Result> {
  return withWorkers(row, target, row.workers, async (operations, connections) => {
    const requestsPerOperation = await requestsOf(operations[0], connections[0]);
    const isHashing = row.bound === 'password hash' && hashers !== undefined;
    // Before the load: it takes a moment for each thread.
    let letGo = isHashing ? keepHashersApart(process.pids, hashers) : () => {};
    let cpuAtStart = 0;
    let cpuAtEnd = 0;
    const measured = await drive(operations, {
      warmUpSeconds,
      seconds,
      onStart: () => {
        if (!isHashing) letGo = keepApart(process.pids);
        cpuAtStart = cpuSecondsOf(process.pids);
      },
      onEnd: () => {
        cpuAtEnd = cpuSecondsOf(process.pids);
      },
    }).finally(() => letGo());
    if (measured.operations === 0) throw new Error(`${row.name}: not one operation in ${seconds} s`);

    const cpuSeconds = cpuAtEnd - cpuAtStart;
    return {
      operations: measured.operations,
      opsPerSecond: measured.operations / measured.seconds,
      p50: percentile(measured.latencies, 0.5),
      p95: percentile(measured.latencies, 0.95),
      p99: percentile(measured.latencies, 0.99),
      opsPerCpuSecond: measured.operations / cpuSeconds,
      cores: cpuSeconds / measured.seconds,
      requestsPerOperation,
    };
  });
}

/** One operation after another, as often as given. */
export async function countStoreUse(
  row: Row,
  { process, target }: Server,
  operationCount: number,
): Promise<StoreUse> {
  return withWorkers(row, target, 1, async ([operation]) => {
    if (!operation) throw new Error('no worker');
    const repeat = async (times: number) => {
      for (let done = 0; done < times; done += 1) await operation();
    };
    // Caches that fill once are not what an operation costs.
    await repeat(3);
    const { total, commits, byText } = await process.countStatements(() => repeat(operationCount));
    return {
      queriesPerOperation: total / operationCount,
      commitsPerOperation: commits / operationCount,
      statements: Object.fromEntries(
        Object.entries(byText)
          .map(([text, times]) => [text.replaceAll(/\s+/g, ' ').trim(), times / operationCount] as const)
          .toSorted(([, a], [, b]) => b - a),
      ),
    };
  });
}

async function requestsOf(
  operation: Operation | undefined,
  connection: Connection | undefined,
): Promise<number> {
  if (!operation || !connection) throw new Error('no worker');
  const before = connection.requests();
  await operation();
  return connection.requests() - before;
}

async function withWorkers<Outcome>(
  row: Row,
  target: Target,
  count: number,
  work: (operations: Operation[], connections: Connection[]) => Promise<Outcome>,
): Promise<Outcome> {
  const connections = Array.from({ length: count }, () => openConnection(target.origin));
  try {
    // One after the other: so many sign-ins at once would be turned away where the machine is busy.
    const operations: Operation[] = [];
    for (const [worker, connection] of connections.entries())
      operations.push(await row.prepare(target, connection, worker));
    return await work(operations, connections);
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
  }
}
