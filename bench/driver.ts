import { setTimeout as delay } from 'node:timers/promises';

/** One unit of work, such as a refresh; throws when the answer is not exactly what it has to be. */
export type Operation = () => Promise<void>;

export interface Measurement {
  operations: number;
  seconds: number;
  /** Milliseconds, sorted. */
  latencies: number[];
}

export interface Load {
  warmUpSeconds: number;
  seconds: number;
  /** At the very start and end of what is measured, for reading other meters. */
  onStart?: () => void;
  onEnd?: () => void;
}

/**
 * Runs every operation over and over, each one alone on its connection, and measures after a warm-up. What
 * began in the warm-up and ends in the measured time counts, what ends after it does not.
 * @throws the first error of any operation, after the others have stopped: a wrong answer is no result
 */
export async function drive(operations: readonly Operation[], load: Load): Promise<Measurement> {
  const latencies: number[] = [];
  const abort = new AbortController();
  let isMeasured = false;
  let isOver = false;

  async function repeat(operation: Operation): Promise<void> {
    while (!isOver) {
      const startedAt = performance.now();
      await operation();
      if (isMeasured) latencies.push(performance.now() - startedAt);
    }
  }

  async function keepTime(): Promise<number> {
    await delay(load.warmUpSeconds * 1000, undefined, { signal: abort.signal });
    load.onStart?.();
    const startedAt = performance.now();
    isMeasured = true;
    await delay(load.seconds * 1000, undefined, { signal: abort.signal });
    isMeasured = false;
    isOver = true;
    const milliseconds = performance.now() - startedAt;
    load.onEnd?.();
    return milliseconds / 1000;
  }

  const failures: unknown[] = [];
  const loops = operations.map((operation) =>
    repeat(operation).catch((err: unknown) => {
      failures.push(err);
      isOver = true;
      abort.abort();
    }),
  );
  const seconds = await keepTime().catch((err: unknown) => {
    isOver = true;
    failures.push(err);
    return 0;
  });
  await Promise.all(loops);
  if (failures.length > 0) throw failures[0];
  return { operations: latencies.length, seconds, latencies: latencies.sort((a, b) => a - b) };
}

/** @param sorted ascending; the smallest value that at least this share of them does not exceed */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  if (Number.isInteger(middle))
    return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
  return sorted[Math.floor(middle)] ?? Number.NaN;
}
