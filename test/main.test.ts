import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { migratedDatabase } from './support/database.ts';
import type { OwnDatabase } from './support/database.ts';
import { freePort } from './support/app.ts';

const MAIN = fileURLToPath(new URL('../bin/serve.mjs', import.meta.url));

interface Started {
  process: ChildProcess;
  output: () => string;
  errors: () => string;
  exit: Promise<number | null>;
}

describe('server process', function () {
  this.timeout(60_000);
  let own: OwnDatabase;
  let dataDir: string;
  const started: Started[] = [];

  beforeEach(async () => {
    own = await migratedDatabase();
    dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-main-'));
  });
  afterEach(async () => {
    for (const { process: child } of started.splice(0)) child.kill('SIGKILL');
    await own.drop();
    await rm(dataDir, { recursive: true });
  });

  function start(env: Record<string, string>, nodeArgs: readonly string[] = []): Started {
    const child = spawn(process.execPath, [...nodeArgs, MAIN], {
      env: { PATH: process.env['PATH'] ?? '', GATEHOUSE_DATA_DIR: dataDir, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const chunks = { output: '', errors: '' };
    child.stdout.on('data', (chunk) => {
      chunks.output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      chunks.errors += chunk;
    });
    const server = {
      process: child,
      output: () => chunks.output,
      errors: () => chunks.errors,
      exit: once(child, 'close').then(([code]) => code),
    };
    started.push(server);
    return server;
  }

  async function ready(server: Started, port: number): Promise<void> {
    for (;;) {
      if (server.process.exitCode !== null) throw new Error(`it ended: ${server.output()}${server.errors()}`);
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      if (answer?.status === 200) return;
      await delay(50);
    }
  }

  const production = (port: number) => ({
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    PUBLIC_URL: 'https://auth.example.com',
    DATABASE_URL: own.url,
    GATEHOUSE_KEYS: randomBytes(32).toString('base64'),
    GATEHOUSE_PEPPERS: randomBytes(32).toString('base64'),
  });

  it('serves in production without demo, default account or banner, and ends cleanly on SIGTERM', async () => {
    const port = await freePort();
    const server = start(production(port));
    await ready(server, port);

    const demo = await fetch(`http://127.0.0.1:${port}/demo`);
    const discovery = await fetch(`http://127.0.0.1:${port}/.well-known/openid-configuration`);
    server.process.kill('SIGTERM');
    const code = await server.exit;

    assert.equal(demo.status, 404);
    assert.match(await discovery.text(), /"issuer":"https:\/\/auth\.example\.com"/);
    assert.match(discovery.headers.get('strict-transport-security') ?? '', /max-age/);
    assert.equal(code, 0);
    const lines = server
      .output()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.ok(lines.some(({ msg }) => msg === 'listening'));
    assert.deepEqual(await own.db('users'), []);
  });

  it('does not start in production without its secrets, and names everything that is missing', async () => {
    const server = start({ NODE_ENV: 'production' });

    const code = await server.exit;

    assert.equal(code, 78);
    for (const name of ['PUBLIC_URL', 'DATABASE_URL', 'GATEHOUSE_KEYS', 'GATEHOUSE_PEPPERS']) {
      assert.match(server.errors(), new RegExp(`${name}: required in production`));
    }
  });

  it('needs nothing that reads TypeScript when its files have been read before', async () => {
    const tellModules = 'process.on("exit", () => console.log(process.moduleLoadList.join()))';
    const run = async () => {
      const server = start({ NODE_ENV: 'production', NODE_COMPILE_CACHE: join(dataDir, 'cache') }, [
        '--import',
        `data:text/javascript,${tellModules}`,
      ]);
      await server.exit;
      return server.output().includes('amaro');
    };

    assert.deepEqual([await run(), await run()], [true, false]);
  });

  it('says plainly that the database cannot be reached', async () => {
    const port = await freePort();
    const server = start({ ...production(port), DATABASE_URL: 'postgresql://127.0.0.1:1/none' });

    const code = await server.exit;

    assert.equal(code, 1);
    assert.match(server.errors(), /could not start: .*ECONNREFUSED/);
  });

  it('prints in development where to go, the demo user and a set-up link, and keeps secrets to its owner', async () => {
    const port = await freePort();
    const server = start({ PORT: String(port), DATABASE_URL: own.url });
    await ready(server, port);
    while (!server.output().includes('/setup?token=')) await delay(20);

    const { password } = JSON.parse(await readFile(join(dataDir, 'demo-user.json'), 'utf8'));
    const modes = await Promise.all(
      ['secrets.json', 'demo-user.json'].map(async (file) => (await stat(join(dataDir, file))).mode & 0o777),
    );

    assert.match(server.output(), new RegExp(`http://localhost:${port}/demo`));
    assert.ok(server.output().includes(password));
    assert.deepEqual(modes, [0o600, 0o600]);
    assert.ok(server.output().split('\n').length < 20, server.output());
  });

  it('runs beside another one on the same database', async () => {
    const ports = [await freePort(), await freePort()];
    const env = production(0);
    const servers = ports.map((port) => start({ ...env, PORT: String(port) }));

    await Promise.all(servers.map((server, index) => ready(server, ports[index] ?? 0)));

    const keys = await Promise.all(
      ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/jwks`)).text()),
    );
    assert.equal(keys[0], keys[1]);
  });
});
