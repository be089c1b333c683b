import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SERVE = fileURLToPath(new URL('../bin/serve.mjs', import.meta.url));
const LONGEST_START_MS = 60_000;

/**
 * Gatehouse as an operator starts it, alone or a primary with its workers, below this process.
 * @returns when `/readyz` answers 200
 */
export async function serve(
  env: NodeJS.ProcessEnv & { PUBLIC_URL: string },
  nodeArgs: readonly string[] = [],
): Promise<{ pid: number | undefined; stop(): Promise<void> }> {
  const startedAt = performance.now();
  const server = spawn(process.execPath, [...nodeArgs, SERVE], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(server, 'exit');
  const stop = async () => {
    server.kill('SIGTERM');
    await ended;
  };
  try {
    while (!(await isReady(env.PUBLIC_URL))) {
      if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`);
      if (performance.now() - startedAt > LONGEST_START_MS) throw new Error('the server does not get ready');
      await delay(5);
    }
  } catch (err) {
    await stop();
    throw err;
  }
  return { pid: server.pid, stop };
}

async function isReady(origin: string): Promise<boolean> {
  const answer = await fetch(`${origin}/readyz`).catch(() => undefined);
  await answer?.body?.cancel();
  return answer?.status === 200;
}
