import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './app.ts';

/** A server of several processes, as an operator starts it. */
export interface ClusterProcess {
  url: string;
  dataDir: string;
  /** Process ids of the workers that serve, as the log tells; those that are gone are left out. */
  workers(): number[];
  /** Its log lines with this message so far. */
  logged(message: string): Record<string, unknown>[];
  /** Waits for a log line with this message beyond the first `count`. */
  untilLogged(message: string, count?: number): Promise<void>;
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** The exit code, or the signal that ended it. */
  ended: Promise<number | string | null>;
  close(): Promise<void>;
}

// That of the other servers of the tests.
const KEY = Buffer.alloc(32, 7).toString('base64');
const MAIN = fileURLToPath(new URL('../../bin/serve.mjs', import.meta.url));

/** Resolves when all workers serve. */
export async function startClusterProcess(env: Record<string, string>): Promise<ClusterProcess> {
  const started = await launchClusterProcess(env);
  try {
    await started.untilLogged('workers are serving');
    return started;
  } catch (err) {
    await started.close();
    throw err;
  }
}

/** Resolves at once. */
export async function launchClusterProcess(env: Record<string, string>): Promise<ClusterProcess> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-cluster-'));
  const port = await freePort();
  const child = spawn(process.execPath, [MAIN], {
    env: {
      PATH: process.env['PATH'] ?? '',
      HOST: '127.0.0.1',
      PORT: String(port),
      GATEHOUSE_DATA_DIR: dataDir,
      GATEHOUSE_KEYS: KEY,
      GATEHOUSE_PEPPERS: KEY,
      GATEHOUSE_WORKERS: '2',
      LOG_LEVEL: 'info',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let unread = '';
  const lines = new Map<unknown, Record<string, unknown>[]>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      const complete = (unread + chunk).split('\n');
      unread = complete.pop() ?? '';
      for (const line of complete.filter((text) => text.startsWith('{'))) {
        const parsed: Record<string, unknown> = JSON.parse(line);
        lines.set(parsed['msg'], [...(lines.get(parsed['msg']) ?? []), parsed]);
      }
    });
  }
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string | null);

  const logged = (message: string) => lines.get(message) ?? [];

  return {
    url: `http://127.0.0.1:${port}`,
    dataDir,
    ended,
    logged,
    output: () => output,
    kill: (signal) => void child.kill(signal),
    workers: () =>
      logged('a worker serves')
        .map(({ pid }) => Number(pid))
        .filter(isRunning),

    async untilLogged(message, count = 0) {
      while (logged(message).length <= count) {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended:\n${output}`);
        await pause(50);
      }
    },

    async close() {
      child.kill('SIGKILL');
      await ended;
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Asks again and again, several at a time, on connections that are kept.
 * @param goesElsewhere whether an answer says to ask somebody else from now on
 * @returns how to stop, with what came of all requests: a status, or why there was none
 */
export function keepAsking(
  send: () => Promise<Response>,
  parallel = 4,
  goesElsewhere: (response: Response) => boolean = () => false,
): () => Promise<Map<string, number>> {
  const outcomes = new Map<string, number>();
  let isOver = false;
  const loops = Array.from({ length: parallel }, async () => {
    let isGone = false;
    while (!isOver && !isGone) {
      const outcome = await send().then(
        async (response) => {
          await response.arrayBuffer();
          isGone = goesElsewhere(response);
          return String(response.status);
        },
        (err: unknown) => reasonOf(err),
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  });
  return async () => {
    isOver = true;
    await Promise.all(loops);
    return outcomes;
  };
}

function reasonOf(err: unknown): string {
  if (!(err instanceof Error)) return 'unknown';
  return err.cause instanceof Error ? err.cause.message : err.message;
}
