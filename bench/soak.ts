import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { UnexpectedAnswer } from './answer.ts';
import { openConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import { drive } from './driver.ts';
import type { Operation } from './driver.ts';
import type { Server } from './measure.ts';
import { ROWS } from './rows/all.ts';

/** Load of all rows at once for minutes on end, while the memory of the server process is watched. */
export interface SoakSample {
  minutes: number;
  /** Resident, of the server process alone. */
  megabytes: number;
  operationsPerSecond: number;
  /** Answers by 503, which a machine that is busy with something else as well gives now and then. */
  refusals: number;
}

/** Of each row; together more than the machine can serve. */
const WORKERS_PER_ROW = 2;
const PAUSE_AFTER_REFUSAL_MS = 1000;

/**
 * @param onSample called once in every period
 * @throws at the first answer that is neither what it has to be nor a 503
 */
export async function soak(
  { process, target }: Server,
  { minutes, sampleSeconds }: { minutes: number; sampleSeconds: number },
  onSample: (sample: SoakSample) => void,
): Promise<SoakSample[]> {
  const [pid] = process.pids;
  if (pid === undefined) throw new Error('the server has no process');
  const samples: SoakSample[] = [];
  let operations = 0;
  let refusals = 0;

  /** Repeats what is answered by 503. */
  async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        return await work();
      } catch (err) {
        if (!(err instanceof UnexpectedAnswer) || err.status !== 503) throw err;
        refusals += 1;
        await delay(PAUSE_AFTER_REFUSAL_MS);
      }
    }
  }

  const connections: Connection[] = [];
  const repeated: Operation[] = [];
  for (const row of ROWS) {
    for (let worker = 0; worker < WORKERS_PER_ROW; worker += 1) {
      const connection = openConnection(target.origin);
      connections.push(connection);
      const operation = await patiently(() => row.prepare(target, connection, worker));
      repeated.push(async () => {
        await patiently(operation);
        operations += 1;
      });
    }
  }

  const startedAt = performance.now();
  const timer = setInterval(() => {
    const sample = {
      minutes: (performance.now() - startedAt) / 60_000,
      megabytes: residentMegabytes(pid),
      operationsPerSecond: operations / sampleSeconds,
      refusals,
    };
    operations = 0;
    refusals = 0;
    samples.push(sample);
    onSample(sample);
  }, sampleSeconds * 1000);
  try {
    await drive(repeated, { warmUpSeconds: 0, seconds: minutes * 60 });
  } finally {
    clearInterval(timer);
    await Promise.all(connections.map((connection) => connection.close()));
  }
  return samples;
}

/** proc_pid_status(5), so Linux only. */
function residentMegabytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}
