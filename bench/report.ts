import { median } from './driver.ts';
import type { Result, StoreUse } from './measure.ts';

/** `workers` is Gatehouse with several of them, and takes part where it is asked for. */
export const SERVERS = ['bare', 'gatehouse', 'workers'] as const;
export type ServerName = (typeof SERVERS)[number];

/** What a run found out about one row; a server that did not take part has no results. */
export interface RowReport {
  row: string;
  rounds: Partial<Record<ServerName, Result[]>>;
  storeUse?: StoreUse | undefined;
  /** For sign-in: the rounds of the hash alone. */
  hashesPerSecond?: number[] | undefined;
  /** For documents: the rounds of `node:http` alone with the same bytes. */
  nodeHttp?: Result[] | undefined;
}

export interface RunReport {
  at: string;
  node: string;
  cpu: string;
  cores: number;
  store: string;
  seconds: number;
  warmUpSeconds: number;
  roundCount: number;
  cpuIncludes: string;
  rows: RowReport[];
}

/** The medians of the rounds, figure by figure. */
function medianResult(results: readonly Result[]): Result {
  const of = (pick: (result: Result) => number) => median(results.map(pick));
  return {
    operations: of((result) => result.operations),
    opsPerSecond: of((result) => result.opsPerSecond),
    p50: of((result) => result.p50),
    p95: of((result) => result.p95),
    p99: of((result) => result.p99),
    opsPerCpuSecond: of((result) => result.opsPerCpuSecond),
    cores: of((result) => result.cores),
    requestsPerOperation: of((result) => result.requestsPerOperation),
  };
}

const HEADINGS = [
  'work',
  'server',
  'ops/s',
  'ratio',
  'p50 ms',
  'p95 ms',
  'p99 ms',
  'ops/CPU-s',
  'ratio',
  'cores',
  'requests',
  'queries',
  'commits',
];

export function printReport(report: RunReport): string {
  const table = [HEADINGS, ...report.rows.flatMap(linesOf)];
  const widths = HEADINGS.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
  const lines = table.map((cells) =>
    cells
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  return [
    `Node ${report.node}, ${report.cores} × ${report.cpu}, ${report.store}, ${report.at}`,
    `${report.roundCount} interleaved rounds of ${report.seconds} s after ${report.warmUpSeconds} s of warm-up; medians; ratio = Gatehouse / bare oidc-provider over a Map.`,
    `CPU seconds are those of ${report.cpuIncludes}.`,
    'Requests, queries (round trips to the database, BEGIN and COMMIT among them) and commits are per operation; background jobs are left out of the last two.',
    '',
    ...lines,
    ...report.rows.flatMap(hashLine),
    ...report.rows.flatMap(nodeHttpLine),
  ].join('\n');
}

/** What each row asks of the database, and how often an operation does. */
export function printStatements({ rows }: RunReport): string {
  return rows
    .flatMap(({ row, storeUse }) => [
      '',
      `${row}:`,
      ...Object.entries(storeUse?.statements ?? {}).map(
        ([text, times]) => `  ${times.toFixed(2).padStart(5)}  ${text}`,
      ),
    ])
    .join('\n');
}

function linesOf({ row, rounds, storeUse }: RowReport): string[][] {
  const { bare, gatehouse, workers } = rounds;
  const base = bare && medianResult(bare);
  const ours = gatehouse && medianResult(gatehouse);
  const lines: string[][] = [];
  if (base) lines.push([row, 'bare', ...figures(base, undefined), '–', '–']);
  if (ours) {
    const use = storeUse
      ? [fixed(storeUse.queriesPerOperation), fixed(storeUse.commitsPerOperation)]
      : ['', ''];
    lines.push([base ? '' : row, 'gatehouse', ...figures(ours, base), ...use]);
  }
  if (workers) {
    const name = lines.length > 0 ? '' : row;
    lines.push([name, 'workers', ...figures(medianResult(workers), base), '', '']);
  }
  return lines;
}

function figures(result: Result, base: Result | undefined): string[] {
  const ratio = (pick: (of: Result) => number) => (base ? (pick(result) / pick(base)).toFixed(2) : '');
  return [
    rounded(result.opsPerSecond),
    ratio((of) => of.opsPerSecond),
    fixed(result.p50),
    fixed(result.p95),
    fixed(result.p99),
    rounded(result.opsPerCpuSecond),
    ratio((of) => of.opsPerCpuSecond),
    result.cores.toFixed(2),
    String(result.requestsPerOperation),
  ];
}

function hashLine({ row, rounds, hashesPerSecond }: RowReport): string[] {
  if (!hashesPerSecond || !rounds.gatehouse) return [];
  const limit = median(hashesPerSecond);
  const share = medianResult(rounds.gatehouse).opsPerSecond / limit;
  return [
    '',
    `${row}: the password hash alone allows ${rounded(limit)}/s; Gatehouse reaches ${share.toFixed(2)} of it.`,
  ];
}

function nodeHttpLine({ row, rounds, nodeHttp }: RowReport): string[] {
  if (!nodeHttp || !rounds.gatehouse) return [];
  const limit = medianResult(nodeHttp);
  const ours = medianResult(rounds.gatehouse);
  const share = (ours.opsPerCpuSecond / limit.opsPerCpuSecond).toFixed(2);
  const base = rounds.bare && medianResult(rounds.bare);
  const most = base ? `, ${(limit.opsPerCpuSecond / base.opsPerCpuSecond).toFixed(2)} times bare` : '';
  return [
    '',
    `${row}: node:http alone gives the same bytes ${rounded(limit.opsPerCpuSecond)} times a CPU second${most}; Gatehouse reaches ${share} of it.`,
  ];
}

function fixed(value: number): string {
  return value.toFixed(1);
}

function rounded(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1);
}
