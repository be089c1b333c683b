import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startInstallation } from './installation.ts';
import type { Installation } from './installation.ts';
import { isReady } from './server-process.ts';

/** Two servers, of which the second one's clock can be wrong (skewed-clock.ts). */
export interface SkewedInstallation {
  installation: Installation;
  /** Returns when the server goes by it. */
  skew(seconds: number): Promise<void>;
  /** Returns when the server's readiness has seen it. */
  skewUntil(seconds: number, readiness: 'ready' | 'not ready'): Promise<void>;
  close(): Promise<void>;
}

export const RIGHT = 0;
export const SKEWED = 1;

const PRELOAD = fileURLToPath(new URL('./skewed-clock.ts', import.meta.url));
/** The server looks twenty times a second. */
const SEEN_MS = 200;

export async function startSkewedInstallation(env: Record<string, string> = {}): Promise<SkewedInstallation> {
  const directory = await mkdtemp(join(process.env['FAULTS_DIR'] ?? tmpdir(), 'clock-'));
  const clockFile = join(directory, 'skew');
  const write = (seconds: number) => writeFileSync(clockFile, String(seconds * 1000));
  write(0);
  const installation = await startInstallation({
    env,
    each: (index) =>
      index === SKEWED ? { nodeArgs: ['--import', PRELOAD], env: { FAULTS_CLOCK_FILE: clockFile } } : {},
  });

  return {
    installation,
    async skew(seconds) {
      write(seconds);
      await delay(SEEN_MS);
    },
    async skewUntil(seconds, readiness) {
      write(seconds);
      const url = installation.servers[SKEWED]?.url ?? '';
      while ((await isReady(url)) !== (readiness === 'ready')) await delay(20);
    },
    async close() {
      await installation.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
