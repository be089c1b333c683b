import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf } from './cpu-time.ts';
import { median } from './driver.ts';
import { freePort } from './free-port.ts';

/** From the start of a process to the first `/readyz` that answers 200, all migrations done. */
export interface StartTime {
  seconds: number;
  /** That the process itself has used by then: what a busy machine does not change much. */
  cpuSeconds: number;
}

const LONGEST_START_MS = 60_000;
const MAIN = fileURLToPath(new URL('../bin/serve.mjs', import.meta.url));

/**
 * @param env of the server; its database may be new, since the first start is not counted
 * @returns the medians
 */
export async function measureStart(env: Record<string, string>, times: number): Promise<StartTime> {
  const secrets = {
    GATEHOUSE_KEYS: randomBytes(32).toString('base64'),
    GATEHOUSE_PEPPERS: randomBytes(32).toString('base64'),
  };
  const starts: StartTime[] = [];
  for (let round = 0; round <= times; round += 1) starts.push(await startOnce({ ...secrets, ...env }));
  starts.shift();
  return {
    seconds: median(starts.map(({ seconds }) => seconds)),
    cpuSeconds: median(starts.map(({ cpuSeconds }) => cpuSeconds)),
  };
}

async function startOnce(env: Record<string, string>): Promise<StartTime> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const startedAt = performance.now();
  const server = spawn(process.execPath, [MAIN], {
    env: {
      ...process.env,
      ...env,
      HOST: '127.0.0.1',
      PORT: String(port),
      PUBLIC_URL: origin,
      GATEHOUSE_WORKERS: '1',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(server, 'exit');
  try {
    while (!(await isReady(origin))) {
      if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`);
      if (performance.now() - startedAt > LONGEST_START_MS) throw new Error('the server does not get ready');
      await delay(5);
    }
    const seconds = (performance.now() - startedAt) / 1000;
    return { seconds, cpuSeconds: server.pid === undefined ? Number.NaN : cpuSecondsOf([server.pid]) };
  } finally {
    server.kill('SIGTERM');
    await ended;
  }
}

async function isReady(origin: string): Promise<boolean> {
  const answer = await fetch(`${origin}/readyz`).catch(() => undefined);
  await answer?.body?.cancel();
  return answer?.status === 200;
}
