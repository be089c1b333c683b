import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { environmentSchema } from '../src/config.ts';
import { reportCoverage } from './support/coverage-report.ts';
import { ensureBrowser, ensureRedis } from './support/ensure-programs.ts';
import { readArguments, usesBrowser } from './support/run-arguments.ts';
import { printFailures } from './support/reporter.ts';
import type { TestCounts } from './support/reporter.ts';
import { createTestDatabases } from './support/test-databases.ts';
import { startTestServer } from './support/test-server.ts';

/**
 * `npm test -- [--coverage] [--database-only] [mocha options] [files or folders]`
 *
 * Runs the tests on a PostgreSQL server of their own, or with TEST_DATABASE_URL in databases of their
 * own on that server. Files run two at a time; one that must have the machine to itself is named
 * `*.serial.test.ts`. With `--database-only` those that another PostgreSQL could change: what uses the
 * database, and no browser. The last line is `N passed, N failed`.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MOCHA = join(ROOT, 'node_modules/mocha/bin/mocha.js');
const REPORTER = join(ROOT, 'test/support/reporter.ts');

process.chdir(ROOT);
const undo: (() => Promise<unknown>)[] = [];
let running: ChildProcess | undefined;
let interrupted = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    running?.kill(interrupted ? 'SIGKILL' : 'SIGTERM');
    interrupted = true;
  });
}

const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24) {
  console.error(
    `The tests need Node 24; this is ${process.version}. Run them with \`npm test\`, after \`npm ci\` with its install scripts.`,
  );
  process.exit(1);
}

const { coverage, options, files } = readArguments(process.argv.slice(2));
let counts: TestCounts = { passed: 0, failed: 0, failures: [] };
let faults = 0;
try {
  counts = await runAll();
} catch (err) {
  faults += 1;
  if (!interrupted) console.error(err);
}
for (const step of undo.toReversed()) {
  await step().catch((err: unknown) => {
    faults += 1;
    console.error('Cleaning up failed:', err);
  });
}

if (counts.passed + counts.failed === 0) console.error('No test ran.');
const failed = counts.failed + faults;
printFailures(counts.failures);
console.log(`${counts.passed} passed, ${failed} failed`);
process.exitCode = interrupted ? 130 : failed > 0 || counts.passed === 0 ? 1 : 0;

async function runAll(): Promise<TestCounts> {
  const environment = cleanEnvironment();
  ensureRedis();
  if (files.some(usesBrowser)) environment['CHROMIUM_PATH'] = ensureBrowser();

  const scratch = await mkdtemp(join(tmpdir(), 'gatehouse-test-'));
  undo.push(() => rm(scratch, { recursive: true, force: true }));
  const server = await startTestServer(scratch);
  undo.push(() => server.stop());
  const databases = await createTestDatabases(server.url);
  undo.push(() => databases.drop());
  environment['TEST_DATABASE_URL'] = databases.url;
  environment['TEST_DATABASE_TEMPLATE'] = databases.template;
  if (coverage) {
    environment['NODE_V8_COVERAGE'] = join(scratch, 'coverage');
    // Of code that was compiled before, V8 counts less exactly.
    environment['NODE_DISABLE_COMPILE_CACHE'] = '1';
  }

  const alone = files.filter((file) => file.endsWith('.serial.test.ts'));
  const together = files.filter((file) => !alone.includes(file));
  const total: TestCounts = { passed: 0, failed: 0, failures: [] };
  for (const [group, parallel] of [
    [together, ['--parallel', '--jobs', '2']],
    [alone, []],
  ] as const) {
    if (group.length === 0 || interrupted) continue;
    const { passed, failed, failures } = await runMocha([...parallel, ...options, ...group], {
      environment,
      scratch,
    });
    total.passed += passed;
    total.failed += failed;
    total.failures.push(...failures);
  }
  if (coverage && !interrupted) total.failed += await reportCoverage(ROOT, join(scratch, 'coverage'));
  return total;
}

async function runMocha(
  args: readonly string[],
  { environment, scratch }: { environment: NodeJS.ProcessEnv; scratch: string },
): Promise<TestCounts> {
  const output = join(scratch, 'counts.json');
  await rm(output, { force: true });
  running = spawn(
    process.execPath,
    [
      MOCHA,
      '--forbid-only',
      '--forbid-pending',
      '--reporter',
      REPORTER,
      '--reporter-option',
      `output=${output}`,
      ...args,
    ],
    { env: environment, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  running.once('error', reject).once('exit', resolve);
  const status = await promise;
  running = undefined;

  // Without its counts mocha did not get to the end: a file did not load, or it was killed.
  if (!existsSync(output)) return { passed: 0, failed: 1, failures: [] };
  const result: TestCounts = JSON.parse(readFileSync(output, 'utf8'));
  return { ...result, failed: status === 0 ? result.failed : Math.max(result.failed, 1) };
}

/** The tests decide the configuration of the servers they start; what the shell has set must not. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  for (const name of Object.keys(environmentSchema.shape)) {
    delete environment[name];
    delete environment[`${name}_FILE`];
  }
  return environment;
}
