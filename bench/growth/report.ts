import { median } from '../driver.ts';
import type { Result } from '../measure.ts';

export interface GrowthReport {
  at: string;
  machine: string;
  perUser: string;
  sizes: { users: number; seconds?: number; bytes?: number }[];
  rows: { row: string; results: { users: number; rounds: Result[] }[] }[];
}

/** Every row at every size, and each size against the first one. */
export function printGrowth({ at, machine, perUser, sizes, rows }: GrowthReport): string {
  return [
    `${machine}, ${at}`,
    `Each person has ${perUser}. Medians of interleaved rounds; ratio = to the first size.`,
    '',
    '| people | database | filled in |',
    '|---:|---:|---:|',
    ...sizes.map(
      ({ users, bytes = 0, seconds = 0 }) =>
        `| ${count(users)} | ${(bytes / 1e9).toFixed(1)} GB | ${Math.round(seconds)} s |`,
    ),
    '',
    '| work | people | ops/s | p50 ms | p95 ms | ratio of p95 | p99 ms | ops/CPU-s | ratio |',
    '|---|---:|---:|---:|---:|---:|---:|---:|---:|',
    ...rows.flatMap(({ row, results }) =>
      results.map(({ users, rounds }) => {
        const first = results[0]?.rounds ?? [];
        const of = (pick: (result: Result) => number, from = rounds) => median(from.map(pick));
        const ratio = (pick: (result: Result) => number) => (of(pick) / of(pick, first)).toFixed(2);
        const cells = [
          row,
          count(users),
          count(Math.round(of(({ opsPerSecond }) => opsPerSecond))),
          of(({ p50 }) => p50).toFixed(1),
          of(({ p95 }) => p95).toFixed(1),
          ratio(({ p95 }) => p95),
          of(({ p99 }) => p99).toFixed(1),
          count(Math.round(of(({ opsPerCpuSecond }) => opsPerCpuSecond))),
          ratio(({ opsPerCpuSecond }) => opsPerCpuSecond),
        ];
        return `| ${cells.join(' | ')} |`;
      }),
    ),
  ].join('\n');
}

function count(value: number): string {
  return value.toLocaleString('en');
}
