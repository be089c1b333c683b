import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startSmtpSink } from '../support/smtp-sink.ts';
import { cliBench } from './support.ts';
import type { CliBench, Json } from './support.ts';

describe('gatehouse doctor', () => {
  let cli: CliBench;

  before(async () => {
    cli = await cliBench();
    await cli.json(['user', 'create', 'ada@example.com'], { stdin: 'seven wandering lighthouses hum' });
  });

  after(async () => {
    await cli.close();
  });

  async function examine(env: Record<string, string> = {}) {
    const { exitCode, stdout } = await cli.run(['doctor', '--json'], { env });
    const checks: Json[] = JSON.parse(stdout).checks;
    return { exitCode, byName: new Map(checks.map((check) => [check.name, check])) };
  }

  /** Stands in for whatever answers at PUBLIC_URL. */
  async function answering<Result>(
    issuer: (origin: string) => string,
    work: (origin: string) => Promise<Result>,
  ) {
    const server = createServer((req, res) => {
      const isDiscovery = req.url === '/.well-known/openid-configuration';
      res.writeHead(isDiscovery ? 200 : 404, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ issuer: issuer(origin) }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      return await work(origin);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it('finds a sound installation with its server sound', async () => {
    const { exitCode, byName } = await answering(
      (origin) => origin,
      (origin) => examine({ PUBLIC_URL: origin }),
    );

    assert.equal(exitCode, 0);
    assert.deepEqual(
      [...byName.values()].map(({ name, status }) => `${name} ${status}`),
      [
        'node ok',
        'configuration ok',
        'data directory ok',
        'database ok',
        'database timeouts ok',
        'clock ok',
        'migrations ok',
        'signing keys ok',
        'peppers ok',
        'mail ok',
        'public URL ok',
      ],
    );
  });

  it('only warns when no server is running', async () => {
    const closed = await answering(
      (origin) => origin,
      async (origin) => origin,
    );

    const { exitCode, byName } = await examine({ PUBLIC_URL: closed });

    assert.equal(exitCode, 0);
    assert.equal(byName.get('public URL').status, 'warn');
  });

  it('fails when something else answers at the public URL', async () => {
    const { exitCode, byName } = await answering(
      () => 'https://other.example.com',
      (origin) => examine({ PUBLIC_URL: origin }),
    );

    assert.equal(exitCode, 1);
    assert.match(byName.get('public URL').message, /calls itself https:\/\/other\.example\.com/);
  });

  it('names every fault of the configuration', async () => {
    const { exitCode, byName } = await examine({ PORT: 'x', LOG_LEVEL: 'loud' });

    assert.equal(exitCode, 1);
    assert.match(byName.get('configuration').message, /PORT.*LOG_LEVEL/);
  });

  it('fails when the database cannot be reached, without telling its password', async () => {
    const { exitCode, byName } = await examine({
      DATABASE_URL: 'postgresql://gatehouse:hunter2secret@127.0.0.1:1/gatehouse',
    });

    assert.equal(exitCode, 1);
    assert.equal(byName.get('database').status, 'fail');
    assert.equal(JSON.stringify([...byName]).includes('hunter2secret'), false);
  });

  it('tells whether the mail server takes mails', async () => {
    const sink = await startSmtpSink();

    const up = await examine({ SMTP_URL: sink.url });
    await sink.close();
    const down = await examine({ SMTP_URL: sink.url.replace('smtp://', 'smtp://ana:hunter2secret@') });

    assert.deepEqual(up.byName.get('mail').status, 'ok');
    assert.deepEqual(down.byName.get('mail').status, 'fail');
    assert.match(down.byName.get('mail').message, /does not answer/);
    assert.equal(JSON.stringify([...down.byName]).includes('hunter2secret'), false);
  });

  it('fails when the keys do not open with the configured master key', async () => {
    const { exitCode, byName } = await examine({ GATEHOUSE_KEYS: randomBytes(32).toString('base64') });

    assert.equal(exitCode, 1);
    assert.match(byName.get('signing keys').advice, /GATEHOUSE_KEYS/);
  });

  it('fails when a pepper that passwords need is gone', async () => {
    const { exitCode, byName } = await examine({ GATEHOUSE_PEPPERS: randomBytes(32).toString('base64') });

    assert.equal(exitCode, 1);
    assert.match(byName.get('peppers').advice, /GATEHOUSE_PEPPERS/);
  });

  it('fails when others may read the data directory', async () => {
    await chmod(cli.dataDir, 0o755);

    const { exitCode, byName } = await examine();

    await chmod(cli.dataDir, 0o700);
    assert.equal(exitCode, 1);
    assert.match(byName.get('data directory').advice, /chmod go-rwx/);
  });

  it('tells people what to do', async () => {
    const { exitCode, stdout } = await cli.run(['doctor'], {
      env: { GATEHOUSE_KEYS: randomBytes(32).toString('base64') },
    });

    assert.equal(exitCode, 1);
    assert.match(stdout, /^signing keys +fail /m);
    assert.match(stdout, /What to do:\n(.*\n)* {2}signing keys: GATEHOUSE_KEYS must hold/);
  });
});
