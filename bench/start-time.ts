import { randomBytes } from 'node:crypto';
import { cpuSecondsOf } from './cpu-time.ts';
import { median } from './driver.ts';
import { freePort } from './free-port.ts';
import { serve } from './serve.ts';

/** From the start of a process to the first `/readyz` that answers 200, all migrations done. */
export interface StartTime {
  seconds: number;
  /** That the process itself has used by then: what a busy machine does not change much. */
  cpuSeconds: number;
}

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
  const startedAt = performance.now();
  const server = await serve({
    ...process.env,
    ...env,
    HOST: '127.0.0.1',
    PORT: String(port),
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    GATEHOUSE_WORKERS: '1',
  });
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = server.pid === undefined ? Number.NaN : cpuSecondsOf([server.pid]);
  await server.stop();
  return { seconds, cpuSeconds };
}
