import { readFileSync } from 'node:fs';
import { drive } from './driver.ts';
import { withWorkers } from './measure.ts';
import type { Server } from './measure.ts';
import { ROWS } from './rows/all.ts';

/** Load of all rows at once for minutes on end, while the memory of the server process is watched. */
export interface SoakSample {
  minutes: number;
  /** Resident, of the server process alone. */
  megabytes: number;
  operationsPerSecond: number;
}

/** Of each row; together more than the machine can serve. */
const WORKERS_PER_ROW = 2;

/**
 * @param onSample called once in every period
 * @throws at the first answer that is not what it has to be
 */
export async function soak(
  { process, target }: Server,
  { minutes, sampleSeconds }: { minutes: number; sampleSeconds: number },
  onSample: (sample: SoakSample) => void,
): Promise<SoakSample[]> {
  const [pid] = process.pids;
  if (pid === undefined) throw new Error('the server has no process');
  const samples: SoakSample[] = [];
  const startedAt = performance.now();
  let operations = 0;

  const timer = setInterval(() => {
    const sample = {
      minutes: (performance.now() - startedAt) / 60_000,
      megabytes: residentMegabytes(pid),
      operationsPerSecond: operations / sampleSeconds,
    };
    operations = 0;
    samples.push(sample);
    onSample(sample);
  }, sampleSeconds * 1000);

  try {
    await Promise.all(
      ROWS.map((row) =>
        withWorkers(row, target, WORKERS_PER_ROW, async (repeated) => {
          const counted = repeated.map((operation) => async () => {
            await operation();
            operations += 1;
          });
          await drive(counted, { warmUpSeconds: 0, seconds: minutes * 60 });
        }),
      ),
    );
  } finally {
    clearInterval(timer);
  }
  return samples;
}

/** proc_pid_status(5), so Linux only. */
export function residentMegabytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}
