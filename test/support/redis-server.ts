import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from './app.ts';

/** A real Redis server on a port of its own, and what can happen to one. */
export interface RedisServer {
  url: string;
  port: number;
  /** For looking into it; on a connection of its own. */
  command(name: string, ...args: string[]): Promise<unknown>;
  flush(): Promise<void>;
  /** It keeps its connections and stops answering. */
  stall(): void;
  resume(): void;
  kill(): Promise<void>;
  /** Again on the same port, empty. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedisServer(): Promise<RedisServer> {
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-redis-'));
  const url = `redis://127.0.0.1:${port}`;
  let child = await start(port, directory);

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async function command(name: string, ...args: string[]): Promise<unknown> {
    const connection = new Redis(url, { lazyConnect: true });
    try {
      await connection.connect();
      return await connection.call(name, ...args);
    } finally {
      connection.disconnect();
    }
  }

  return {
    url,
    port,
    command,
    kill,
    flush: async () => void (await command('flushall')),
    stall: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async restart() {
      await kill();
      child = await start(port, directory);
    },
    async stop() {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Unlike `once`, which a failed attempt in between would end. */
export function ready({ client }: { client: Redis }): Promise<void> {
  return new Promise((resolve) => client.once('ready', () => resolve()));
}

async function start(port: number, directory: string): Promise<ChildProcess> {
  const options = ['--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', ['--port', String(port), ...options], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const failed = Promise.withResolvers<never>();
  child.once('error', (cause) =>
    failed.reject(new Error("the tests need Debian's redis-server: apt-get install redis-server", { cause })),
  );
  child.once('exit', (code) => failed.reject(new Error(`redis-server ended with code ${code}`)));
  failed.promise.catch(() => {});
  await Promise.race([answering(port), failed.promise]);
  return child;
}

/** Redis says that it is up to nobody but its log and who connects. */
async function answering(port: number): Promise<void> {
  for (;;) {
    const probe = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => null });
    probe.on('error', () => {});
    try {
      await probe.connect();
      await probe.ping();
      return;
    } catch {
      await pause(10);
    } finally {
      probe.disconnect();
    }
  }
}
