import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderCliReference } from '../../src/cli/reference.ts';
import { cliBench, runHere, runLauncher } from './support.ts';
import type { Json, Outcome } from './support.ts';

const KEY = Buffer.alloc(32, 7).toString('base64');
const PEPPER = Buffer.alloc(32, 9).toString('base64');

describe('the gatehouse command', () => {
  let dataDir: string;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'));
  });

  afterEach(async () => {
    await rm(dataDir, { recursive: true, force: true });
  });

  /** No database is there, so nothing here may need one. */
  function run(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
    return runHere(args, '', {
      PATH: process.env['PATH'] ?? '',
      GATEHOUSE_DATA_DIR: dataDir,
      DATABASE_URL: 'postgresql://gatehouse:hunter2secret@127.0.0.1:1/gatehouse',
      ...env,
    });
  }

  it('explains itself on standard output and ends with 0', async () => {
    const help = await run(['--help']);
    const leaf = await run(['client', 'create', '--help']);

    assert.equal(help.exitCode, 0);
    assert.match(help.stdout, /^Usage: gatehouse /);
    assert.equal(leaf.exitCode, 0);
    assert.match(leaf.stdout, /--redirect-uri <uri>/);
    assert.match(leaf.stdout, /--json/);
  });

  it('ends with 2 for a command, argument or option that is wrong or missing', async () => {
    for (const args of [
      [],
      ['user'],
      ['nothing'],
      ['user', 'nothing'],
      ['user', 'create'],
      ['user', 'list', '--nothing'],
      ['user', 'list', '--limit', 'x'],
      ['user', 'list', 'extra'],
    ]) {
      const { exitCode, stdout, stderr } = await run(args);

      assert.equal(exitCode, 2, args.join(' '));
      assert.equal(stdout, '');
      assert.notEqual(stderr, '');
    }
  });

  it('reports usage errors as JSON where JSON is asked for', async () => {
    const { exitCode, stdout, stderr } = await run(['user', 'lsit', '--json']);

    assert.equal(exitCode, 2);
    assert.equal(stdout, '');
    assert.equal(JSON.parse(stderr).error.code, 'usage');
  });

  it('ends with 1 and one plain sentence when the database is away, without its password or a stack', async () => {
    const { exitCode, stdout, stderr } = await run(['user', 'list']);

    assert.equal(exitCode, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^gatehouse: the database cannot be used now: .*\(database\.unavailable\)\n$/);
    assert.equal(stderr.includes('hunter2secret'), false);
  });

  it('shows the stack where the operator asks for it', async () => {
    const { stderr } = await run(['user', 'list'], { LOG_LEVEL: 'debug' });

    assert.match(stderr, /\n +at /);
  });

  it('names every fault of the configuration', async () => {
    const { exitCode, stderr } = await run(['user', 'list', '--json'], { PORT: 'x', TRUST_PROXY: 'y' });

    const { error } = JSON.parse(stderr);
    assert.equal(exitCode, 1);
    assert.equal(error.code, 'config.invalid');
    assert.equal(error.errors.length, 2);
  });

  it('prints the configuration in force with secrets redacted, however they are given', async () => {
    const secrets = { GATEHOUSE_KEYS: KEY, GATEHOUSE_PEPPERS: PEPPER };
    const outcomes = await Promise.all([
      run(['config', 'print', '--redacted'], secrets),
      run(['config', 'print'], secrets),
      run(['config', 'print', '--json'], { ...secrets, PORT: '4000' }),
    ]);

    const values: Json = JSON.parse(outcomes[2].stdout);
    assert.deepEqual(values.PORT, { value: 4000, source: 'environment' });
    assert.deepEqual(values.PUBLIC_URL, { value: 'http://localhost:4000', source: 'default' });
    assert.deepEqual(values.DATABASE_URL, { value: '[redacted]', source: 'environment' });
    assert.deepEqual(values.GATEHOUSE_KEYS, { value: '[redacted]', source: 'environment' });
    for (const { exitCode, stdout, stderr } of outcomes) {
      assert.equal(exitCode, 0);
      assert.equal(stderr, '');
      for (const secret of ['hunter2secret', KEY, PEPPER]) assert.equal(stdout.includes(secret), false);
    }
  });

  it('generates missing secrets in development for their owner alone, and the same ones every time', async () => {
    const first = await run(['config', 'print', '--json']);
    const secrets = await readFile(join(dataDir, 'secrets.json'), 'utf8');
    await run(['config', 'print', '--json']);

    assert.equal(JSON.parse(first.stdout).GATEHOUSE_KEYS.source, 'generated');
    assert.equal(await readFile(join(dataDir, 'secrets.json'), 'utf8'), secrets);
    assert.equal((await stat(join(dataDir, 'secrets.json'))).mode & 0o777, 0o600);
    assert.equal(first.stdout.includes(JSON.parse(secrets).GATEHOUSE_KEYS), false);
  });

  it('says which directory it cannot use', async () => {
    const file = join(dataDir, 'file');
    await writeFile(file, '');

    const { exitCode, stderr } = await run(['user', 'list'], { GATEHOUSE_DATA_DIR: file });

    assert.equal(exitCode, 1);
    assert.ok(stderr.includes(`GATEHOUSE_DATA_DIR: cannot use ${file}`));
  });

  it('generates nothing in production, and nothing for a mode that is misspelt', async () => {
    for (const NODE_ENV of ['production', 'prodcution']) {
      const { exitCode, stderr } = await run(['config', 'print', '--json'], { NODE_ENV });

      assert.equal(exitCode, 1);
      assert.equal(JSON.parse(stderr).error.code, 'config.invalid');
      await assert.rejects(stat(join(dataDir, 'secrets.json')));
    }
  });

  it('does its work as a process: result on standard output, password from a pipe, refusal on standard error', async () => {
    const bench = await cliBench();
    try {
      const created = await runLauncher(
        ['user', 'create', 'ada@example.com', '--json'],
        'seven wandering lighthouses hum\n',
        bench.env,
      );
      const refused = await runLauncher(
        ['user', 'create', 'ada@example.com', '--no-password'],
        '',
        bench.env,
      );
      const client = await runLauncher(
        ['client', 'create', '--name', 'Job', '--grant-type', 'client_credentials', '--json'],
        '',
        bench.env,
      );
      const wrong = await runLauncher(['user', 'lsit'], '', bench.env);

      assert.deepEqual([created.exitCode, refused.exitCode, client.exitCode, wrong.exitCode], [0, 1, 0, 2]);
      assert.equal(JSON.parse(created.stdout).email, 'ada@example.com');
      assert.equal(created.stderr, '');
      assert.equal(refused.stdout, '');
      assert.match(refused.stderr, /^gatehouse: .*\(user\.email_taken\)\n/);
      assert.match(JSON.parse(client.stdout).client_secret, /^[A-Za-z0-9_-]{43}$/);
    } finally {
      await bench.close();
    }
  });

  it('is documented as it is', async () => {
    const reference = renderCliReference();

    for (const name of [
      'user set-password',
      'client rotate-secret',
      'keys rewrap',
      'migrate down',
      'doctor',
    ]) {
      assert.match(reference, new RegExp(`^###? gatehouse ${name}$`, 'm'));
    }
    assert.equal(await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8'), reference);
  });
});
