import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { environmentSchema } from '../../src/config.ts';
import { findPostmaster } from '../../src/db/embedded/postmaster.ts';
import { ensureRedis } from '../support/ensure-programs.ts';
import { printFailures } from '../support/reporter.ts';
import type { TestCounts } from '../support/reporter.ts';

/**
 * `npm run test:faults -- [--long] [--seed N] [--grep TEXT] [files]`
 *
 * Servers and databases are killed, stalled and flooded here, one test after the other: the machine is
 * theirs alone. The short form is for every change and has one seed unless another is named; the long form is
 * for every release. What is random follows from the seed, which is printed.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { values, positionals } = parseArgs({
  options: { long: { type: 'boolean' }, seed: { type: 'string' }, grep: { type: 'string' } },
  allowPositionals: true,
});
const seed = Number(values.seed ?? (values.long ? randomInt(2 ** 31) : 1));
const files =
  positionals.length > 0 ? positionals : globSync('test/faults/**/*.fault.ts', { cwd: ROOT }).sort();
console.log(`${values.long ? 'Long' : 'Short'} form, --seed ${seed}`);

ensureRedis();
const scratch = await mkdtemp(join(tmpdir(), 'gatehouse-faults-'));
const output = join(scratch, 'counts.json');
const mocha = spawn(
  process.execPath,
  [
    join(ROOT, 'node_modules/mocha/bin/mocha.js'),
    '--forbid-only',
    '--forbid-pending',
    '--reporter',
    join(ROOT, 'test/support/reporter.ts'),
    '--reporter-option',
    `output=${output}`,
    ...(values.grep ? ['--grep', values.grep] : []),
    ...files,
  ],
  // A group of its own: whatever a test that ended early has left in it ends with it.
  { cwd: ROOT, env: environment(), stdio: ['ignore', 'inherit', 'inherit'], detached: true },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => mocha.kill('SIGTERM'));

const status = await ended(mocha);
await cleanUp();
const counts: TestCounts = existsSync(output)
  ? JSON.parse(readFileSync(output, 'utf8'))
  : { passed: 0, failed: 1, failures: [] };
const failed = status === 0 ? counts.failed : Math.max(counts.failed, 1);
await rm(scratch, { recursive: true, force: true });
printFailures(counts.failures);
if (failed > 0)
  console.log(`To see it again: npm run test:faults -- ${values.long ? '--long ' : ''}--seed ${seed}`);
console.log(`${counts.passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || counts.passed === 0 ? 1 : 0;

/** The tests decide the configuration of the servers they start; what the shell has set must not. */
function environment(): NodeJS.ProcessEnv {
  const clean = { ...process.env };
  for (const name of Object.keys(environmentSchema.shape)) {
    delete clean[name];
    delete clean[`${name}_FILE`];
  }
  return { ...clean, FAULTS_DIR: scratch, FAULTS_SEED: String(seed), FAULTS_LONG: values.long ? '1' : '' };
}

async function ended(child: ChildProcess): Promise<number | null> {
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject).once('exit', resolve);
  return promise;
}

async function cleanUp(): Promise<void> {
  try {
    if (mocha.pid) process.kill(-mocha.pid, 'SIGKILL');
  } catch {
    // Nobody was left.
  }
  for (const cluster of globSync('*/data/postgres/cluster', { cwd: scratch })) {
    const postmaster = await findPostmaster(join(scratch, cluster));
    if (postmaster !== undefined) process.kill(postmaster, 'SIGQUIT');
  }
}
