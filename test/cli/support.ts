import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { runCli } from '../../src/cli/run-cli.ts';
import type { Environment } from '../../src/load-environment.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';

/**
 * Command lines on a database of their own. Most run within the test's process, where they take
 * milliseconds; `runLauncher` starts the real program, for what a process as a whole guarantees.
 */

const LAUNCHER = fileURLToPath(new URL('../../bin/gatehouse.mjs', import.meta.url));

export interface Outcome {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

export interface CliBench {
  db: OwnDatabase['db'];
  /** For `runLauncher`. */
  env: Record<string, string> & { GATEHOUSE_KEYS: string; GATEHOUSE_PEPPERS: string };
  dataDir: string;
  run(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Runs with `--json` and expects success. */
  json(args: readonly string[], options?: RunOptions): Promise<Json>;
  /** Runs with `--json` and expects a refusal. @returns what standard error holds, and the exit code */
  refusal(args: readonly string[], options?: RunOptions): Promise<Refusal>;
  close(): Promise<void>;
}

interface RunOptions {
  stdin?: string;
  env?: Record<string, string>;
}

/** Whatever the command printed. */
export type Json = ReturnType<typeof JSON.parse>;

interface Refusal {
  exitCode: number | null;
  code: string;
  message: string;
  errors: { path: string; message: string }[];
}

export async function cliBench(database?: OwnDatabase): Promise<CliBench> {
  const own = database ?? (await migratedDatabase());
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'));
  const secrets = {
    GATEHOUSE_KEYS: randomBytes(32).toString('base64'),
    GATEHOUSE_PEPPERS: randomBytes(32).toString('base64'),
  };

  const env = {
    PATH: process.env['PATH'] ?? '',
    DATABASE_URL: own.url,
    GATEHOUSE_DATA_DIR: dataDir,
    ...secrets,
  };
  const run: CliBench['run'] = (args, options = {}) =>
    runHere(args, options.stdin ?? '', { ...env, ...options.env });

  return {
    db: own.db,
    env,
    dataDir,
    run,
    async json(args, options) {
      const { exitCode, stdout, stderr } = await run(['--json', ...args], options);
      if (exitCode !== 0) throw new Error(`${args.join(' ')} ended with ${exitCode}: ${stderr}`);
      return JSON.parse(stdout);
    },
    async refusal(args, options) {
      const { exitCode, stdout, stderr } = await run(['--json', ...args], options);
      if (exitCode === 0) throw new Error(`${args.join(' ')} was not refused: ${stdout}`);
      if (stdout !== '') throw new Error(`a refusal must not print on standard output: ${stdout}`);
      return { exitCode, errors: [], ...JSON.parse(stderr).error };
    },
    async close() {
      await own.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export async function runHere(args: readonly string[], stdin: string, env: Environment): Promise<Outcome> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const texts = [text(stdout), text(stderr)] as const;
  const exitCode = await runCli(args, { stdin: Readable.from([Buffer.from(stdin)]), stdout, stderr, env });
  stdout.end();
  stderr.end();
  const [out, err] = await Promise.all(texts);
  return { exitCode, stdout: out, stderr: err };
}

export async function runLauncher(
  args: readonly string[],
  stdin: string,
  env: Record<string, string>,
): Promise<Outcome> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  // A command that reads no input may be gone before it is written.
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  const [exitCode, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
  return { exitCode, stdout, stderr };
}
