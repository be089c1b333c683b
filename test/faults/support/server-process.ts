import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { workerArguments, workerEnvironment } from '../../../src/cluster/worker-memory.ts';
import { freePort } from '../../support/app.ts';
import { childrenOf } from './processes.ts';

/** One server process, as an operator runs it: started, killed, stopped and frozen by its process id. */
export interface ServerProcess {
  port: number;
  url: string;
  /** Starts it; resolves when it is ready for requests. */
  start(): Promise<void>;
  /** Resolves when the process is gone. @returns its exit code, or the signal that ended it */
  kill(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
  /** One of several workers; another one takes its place. */
  killWorker(): Promise<void>;
  freeze(): void;
  thaw(): void;
  isRunning(): boolean;
  /** Resident memory. */
  rssBytes(): number;
  /** Sockets, too. */
  openFiles(): number;
  /** The lines of its log with this text, the last ones where there are many. */
  logAbout(text: string): string;
}

export interface ServerProcessOptions {
  env: Record<string, string>;
  /** For Node itself, before the program. */
  nodeArgs?: readonly string[];
  /** Path of another program than the server itself. */
  program?: string;
}

const MAIN = fileURLToPath(new URL('../../../bin/serve.mjs', import.meta.url));
const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 20;
const LOG_BYTES = 20_000_000;
const SHOWN_LINES = 20;

export async function createServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child: ReturnType<typeof spawnServer> | undefined;
  let log = '';

  function spawnServer() {
    // As `npm start` does it.
    const args = [...workerArguments(options.nodeArgs ?? []), options.program ?? MAIN];
    const spawned = spawn(process.execPath, args, {
      env: {
        ...process.env,
        ...workerEnvironment(process.env),
        // The rest of the run's environment is none of a server's business.
        ...Object.fromEntries(
          Object.keys(process.env)
            .filter(isOurs)
            .map((name) => [name, undefined]),
        ),
        ...options.env,
        PORT: String(port),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [spawned.stdout, spawned.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        log = (log + chunk.toString('utf8')).slice(-LOG_BYTES);
      });
    }
    const ended = Promise.withResolvers<number | NodeJS.Signals | null>();
    spawned.once('exit', (code, signal) => ended.resolve(code ?? signal));
    return { process: spawned, ended: ended.promise };
  }

  const logAbout = (text: string) =>
    log
      .split('\n')
      .filter((line) => line.includes(text))
      .slice(-SHOWN_LINES)
      .join('\n');
  const isRunning = () =>
    child !== undefined && child.process.exitCode === null && child.process.signalCode === null;

  return {
    port,
    url,
    isRunning,
    async start() {
      child = spawnServer();
      const deadline = Date.now() + READY_TIMEOUT_MS;
      while (!(await isReady(url))) {
        if (!isRunning() || Date.now() > deadline)
          throw new Error(`the server is not ready:\n${logAbout('')}`);
        await delay(POLL_MS);
      }
    },
    async kill(signal = 'SIGKILL') {
      if (!child) return null;
      if (isRunning()) child.process.kill(signal);
      return child.ended;
    },
    async killWorker() {
      const [worker] = childrenOf(child?.process.pid ?? 0);
      if (worker === undefined) throw new Error('the server has no workers');
      process.kill(worker, 'SIGKILL');
      while (childrenOf(child?.process.pid ?? 0).includes(worker)) await delay(POLL_MS);
    },
    freeze: () => void child?.process.kill('SIGSTOP'),
    thaw: () => void child?.process.kill('SIGCONT'),
    rssBytes() {
      const status = readFileSync(`/proc/${child?.process.pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
    },
    openFiles: () => readdirSync(`/proc/${child?.process.pid}/fd`).length,
    logAbout,
  };
}

/** Whether it takes part in load balancing. */
export async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/readyz`).then(
    async (response) => {
      await response.arrayBuffer();
      return response.ok;
    },
    () => false,
  );
}

function isOurs(name: string): boolean {
  return /^(GATEHOUSE_|TEST_|FAULTS_|NODE_V8_COVERAGE$|DATABASE_URL|PUBLIC_URL|PORT$|HOST$|NODE_ENV$)/.test(
    name,
  );
}
