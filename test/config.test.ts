import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError, loadConfig } from '../src/config.ts';

const KEY = randomBytes(32).toString('base64');
const PRODUCTION = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://auth.example.com',
  DATABASE_URL: 'postgresql://db.example.com/gatehouse',
  GATEHOUSE_KEYS: KEY,
  GATEHOUSE_PEPPERS: KEY,
};

function faultsOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    loadConfig(env);
    return [];
  } catch (err) {
    assert.ok(err instanceof ConfigError, String(err));
    return err.faults;
  }
}

describe('configuration', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'gatehouse-config-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  it('needs nothing in development', () => {
    const config = loadConfig({});

    assert.equal(config.mode, 'development');
    assert.equal(config.host, '127.0.0.1');
    assert.equal(config.publicUrl, 'http://localhost:3000');
    assert.equal(config.databaseUrl, undefined);
    assert.equal(config.dataDir, resolve('.gatehouse'));
    assert.equal(config.demo, true);
  });

  it('has a worker for each core on a server of its own, and one on the embedded database, unless told otherwise', () => {
    const DATABASE_URL = 'postgresql://db.example.com/gatehouse';
    const workersOf = (env: Record<string, string>) => loadConfig(env).workers;

    assert.equal(workersOf({ DATABASE_URL }), availableParallelism());
    assert.equal(workersOf({}), 1);
    assert.equal(workersOf({ GATEHOUSE_WORKERS: '3' }), 3);
    assert.equal(workersOf({ DATABASE_URL, GATEHOUSE_WORKERS: '3' }), 3);
  });

  it('names every fault at once', () => {
    const faults = faultsOf({
      PORT: '70000',
      PUBLIC_URL: 'ftp://auth.example.com',
      DATABASE_URL: 'mysql://localhost/gatehouse',
      GATEHOUSE_KEYS: 'too-short',
      TRUST_PROXY: '10.0.0.0/8, nonsense',
      LOG_LEVEL: 'loud',
      GATEHOUSE_MIGRATE_AT_START: 'perhaps',
      GATEHOUSE_REFRESH_IDLE_SECONDS: '3600',
      GATEHOUSE_REFRESH_ABSOLUTE_SECONDS: '60',
    });

    const names = faults.map((fault) => fault.slice(0, fault.indexOf(':')));
    assert.deepEqual(
      new Set(names),
      new Set([
        'PORT',
        'PUBLIC_URL',
        'DATABASE_URL',
        'GATEHOUSE_KEYS',
        'GATEHOUSE_MIGRATE_AT_START',
        'TRUST_PROXY',
        'LOG_LEVEL',
        'GATEHOUSE_REFRESH_ABSOLUTE_SECONDS',
      ]),
    );
    assert.match(new ConfigError(faults).message, /8 faults:\n {2}- /);
  });

  it('names what production lacks, all of it, and has no default for any of it', () => {
    const faults = faultsOf({ NODE_ENV: 'production', PORT: 'x' });

    for (const name of ['PUBLIC_URL', 'DATABASE_URL', 'GATEHOUSE_KEYS', 'GATEHOUSE_PEPPERS']) {
      assert.ok(faults.includes(`${name}: required in production`), name);
    }
    assert.equal(faults.length, 5);
  });

  it('starts production with its own secrets, on all addresses and without the demo', () => {
    const config = loadConfig(PRODUCTION);

    assert.equal(config.production, true);
    assert.equal(config.host, '0.0.0.0');
    assert.equal(config.demo, false);
    assert.deepEqual(config.keys, [Buffer.from(KEY, 'base64')]);
  });

  it('refuses plain http and the demo in production, but lets a loopback address be tried', () => {
    const faults = faultsOf({ ...PRODUCTION, PUBLIC_URL: 'http://auth.example.com', GATEHOUSE_DEMO: 'on' });

    assert.deepEqual(faults, [
      'PUBLIC_URL: must use https in production',
      'GATEHOUSE_DEMO: the demo is not available in production',
    ]);
    for (const origin of ['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000']) {
      assert.deepEqual(faultsOf({ ...PRODUCTION, PUBLIC_URL: origin }), [], origin);
    }
  });

  it('takes an origin as public URL, and nothing after it', () => {
    assert.equal(
      loadConfig({ PUBLIC_URL: 'https://auth.example.com/' }).publicUrl,
      'https://auth.example.com',
    );
    for (const url of ['https://a.example/path', 'https://a.example?q=1', 'https://a.example#f']) {
      assert.deepEqual(
        faultsOf({ PUBLIC_URL: url }),
        ['PUBLIC_URL: must be an origin, without path, query or fragment'],
        url,
      );
    }
  });

  it('reads a secret from the file of its name, less the white space around it', async () => {
    const file = join(directory, 'keys');
    await writeFile(file, `${KEY},${KEY}\n`);

    const config = loadConfig({ GATEHOUSE_KEYS_FILE: file });

    assert.deepEqual(config.keys, [Buffer.from(KEY, 'base64'), Buffer.from(KEY, 'base64')]);
  });

  it('reports a secret’s file that cannot be read, and a secret given twice', async () => {
    const missing = join(directory, 'missing');
    const file = join(directory, 'keys');
    await writeFile(file, KEY);

    const faults = faultsOf({
      DATABASE_URL_FILE: missing,
      GATEHOUSE_KEYS: KEY,
      GATEHOUSE_KEYS_FILE: file,
    });

    assert.deepEqual(faults, [
      `DATABASE_URL_FILE: cannot read ${missing} (ENOENT)`,
      'GATEHOUSE_KEYS: set either GATEHOUSE_KEYS or GATEHOUSE_KEYS_FILE, not both',
    ]);
  });

  it('reads files for secrets only', async () => {
    const file = join(directory, 'port');
    await writeFile(file, '4000');

    assert.equal(loadConfig({ PORT_FILE: file }).port, 3000);
  });

  it('never repeats a secret in a fault', () => {
    const faults = faultsOf({
      GATEHOUSE_KEYS: 'my-secret-key',
      DATABASE_URL: 'db://user:my-secret-key@host',
    });

    assert.equal(faults.length, 2);
    assert.doesNotMatch(faults.join('\n'), /my-secret-key/);
  });

  it('counts an empty variable as not set', () => {
    assert.equal(loadConfig({ PORT: '', DATABASE_URL: '', NODE_ENV: '' }).port, 3000);
  });

  it('understands the usual words for a switch', () => {
    for (const [word, value] of [
      ['true', true],
      ['on', true],
      ['1', true],
      ['false', false],
      ['off', false],
      ['0', false],
    ] as const) {
      assert.equal(loadConfig({ GATEHOUSE_MIGRATE_AT_START: word }).migrateAtStart, value, word);
    }
  });

  it('is frozen', () => {
    const config = loadConfig({});

    assert.throws(() => Object.assign(config, { production: true }), TypeError);
  });
});
