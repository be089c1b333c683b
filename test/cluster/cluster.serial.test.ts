import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import {
  isRunning,
  keepAsking,
  launchClusterProcess,
  startClusterProcess,
} from '../support/cluster-process.ts';
import type { ClusterProcess } from '../support/cluster-process.ts';
import { createUserAgent } from '../support/user-agent.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { freePort } from '../support/app.ts';
import { workerArguments } from '../../src/cluster/worker-memory.ts';
import { systemActor } from '../../src/http/actor.ts';

describe('a server of several processes', function () {
  this.timeout(60_000);
  let own: OwnDatabase;
  let cluster: ClusterProcess;
  let credentials: string;
  let managementPort: number;

  before(async () => {
    own = await migratedDatabase();
    managementPort = await freePort();
    credentials = await registerClient(own);
  });
  beforeEach(async () => {
    cluster = await startClusterProcess(production());
  });
  afterEach(() => cluster.close());
  after(() => own.drop());

  const production = () => ({
    NODE_ENV: 'production',
    PUBLIC_URL: 'https://auth.example.com',
    DATABASE_URL: own.url,
    GATEHOUSE_MANAGEMENT_PORT: String(managementPort),
    GATEHOUSE_RATE_LIMITS: 'off',
  });

  async function registerClient({ db }: OwnDatabase): Promise<string> {
    const app: TestApp = await startTestApp({ db });
    const tenant = await app.services.tenants.ensureDefault();
    const { client, secret } = await app.services.clients.create(systemActor(tenant.id), {
      name: 'Service',
      metadata: { grant_types: ['client_credentials'] },
    });
    await app.close();
    return btoa(`${client.clientId}:${secret}`);
  }

  const token = () =>
    fetch(`${cluster.url}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${credentials}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });

  const alone = () => fetch(`${cluster.url}/jwks`, { headers: { connection: 'close' } });

  const metrics = async () => (await fetch(`http://127.0.0.1:${managementPort}/metrics`)).text();
  const countOf = (text: string, sample: RegExp) => Number(sample.exec(text)?.[1] ?? 0);
  const TOKENS = /^gatehouse_token_responses_total\{grant_type="client_credentials"\} (\d+)$/m;

  it('starts workers so that they keep little memory that they do not use', () => {
    const of = (pid: number, file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');

    for (const pid of cluster.workers()) {
      for (const flag of workerArguments([])) assert.ok(of(pid, 'cmdline').includes(flag), flag);
      assert.ok(of(pid, 'environ').includes('MALLOC_ARENA_MAX=2'));
    }
    assert.equal(cluster.workers().length, 2);
  });

  it('replaces a worker that was killed, while the others go on', async () => {
    const [killed = 0, other = 0] = cluster.workers();
    const stop = keepAsking(token);
    // Connections are on their way to the worker all the time.
    const stopAlone = keepAsking(alone);
    await cluster.untilLogged('tokens issued', 20);

    process.kill(killed, 'SIGKILL');
    await cluster.untilLogged('a worker serves', 2);
    await cluster.untilLogged('tokens issued', cluster.logged('tokens issued').length + 20);
    const outcomes = [...(await stop()), ...(await stopAlone())];

    assert.equal(cluster.workers().length, 2);
    assert.ok(isRunning(other));
    const failed = outcomes.filter(([outcome]) => outcome !== '200');
    // What it was at is lost with it; nothing else is.
    assert.ok(failed.reduce((sum, [, count]) => sum + count, 0) <= 8, JSON.stringify(failed));
    assert.match(await metrics(), /^gatehouse_worker_crashes_total 1$/m);
  });

  it('reloads without failing a request', async () => {
    const before = cluster.workers();
    const stop = keepAsking(token);
    const stopAlone = keepAsking(alone, 2);

    cluster.kill('SIGHUP');
    await cluster.untilLogged('all workers are replaced');
    const outcomes = [...(await stop()), ...(await stopAlone())];

    assert.deepEqual(
      outcomes.map(([outcome]) => outcome),
      ['200', '200'],
    );
    assert.equal(cluster.workers().length, 2);
    assert.ok(before.every((pid) => !isRunning(pid)));
    assert.match(await metrics(), /^gatehouse_worker_crashes_total 0$/m);
  });

  it('ends cleanly on SIGTERM, with all of its processes, and serves whoever heeds that it is going', async () => {
    const workers = cluster.workers();
    const isGoing = (response: Response) => response.headers.get('connection') === 'close';
    const stop = keepAsking(token, 4, isGoing);
    await cluster.untilLogged('tokens issued', 20);

    cluster.kill('SIGTERM');
    const code = await cluster.ended;
    const outcomes = await stop();

    assert.equal(code, 0);
    assert.equal(workers.length, 2);
    assert.ok(workers.every((pid) => !isRunning(pid)));
    assert.deepEqual([...outcomes.keys()], ['200']);
  });

  it('ends when its primary is killed, with all of its processes', async () => {
    const workers = cluster.workers();

    cluster.kill('SIGKILL');
    await cluster.ended;

    while (workers.some(isRunning)) await pause(20);
  });

  it('answers for the metrics of all workers on one port', async () => {
    for (let count = 0; count < 20; count += 1) {
      const response = await fetch(`${cluster.url}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${credentials}`, connection: 'close' },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      });
      assert.equal(response.status, 200);
    }

    const text = await metrics();
    assert.equal(countOf(text, TOKENS), 20);
    assert.match(text, /^gatehouse_workers 2$/m);
    assert.match(text, /^gatehouse_build_info\{version="[\d.]+"\} 1$/m);
    const servedBy = new Set(cluster.logged('tokens issued').map(({ worker }) => worker));
    assert.deepEqual(
      [...servedBy].map(Number).toSorted((a, b) => a - b),
      [1, 2],
    );
  });

  it('writes whole lines, though several processes write', async () => {
    const stop = keepAsking(token);
    await cluster.untilLogged('tokens issued', 200);
    await stop();
    cluster.kill('SIGTERM');
    await cluster.ended;

    for (const line of cluster.output().trim().split('\n')) assert.doesNotThrow(() => JSON.parse(line), line);
  });

  it('does not start, and says why, when its first worker cannot', async () => {
    const broken = await launchClusterProcess({
      ...production(),
      DATABASE_URL: 'postgresql://127.0.0.1:1/none',
    });

    assert.equal(await broken.ended, 1);
    assert.match(broken.output(), /could not start: .*ECONNREFUSED/);
    await broken.close();
  });
});

describe('several processes on the embedded database', function () {
  this.timeout(90_000);
  let cluster: ClusterProcess;

  before(async () => {
    cluster = await startClusterProcess({ LOG_LEVEL: 'info' });
  });
  after(() => cluster.close());

  /** On a connection of its own for each request, so that they go to the workers in turn. */
  const visitor = () =>
    createUserAgent((url, init) => {
      const headers = new Headers(init.headers);
      headers.set('connection', 'close');
      return fetch(url, { ...init, headers });
    });

  function postmasterFile(): string {
    const [file] = globSync(join(cluster.dataDir, '**/postmaster.pid'));
    return file ?? assert.fail('no database runs');
  }

  it('greet once', () => {
    assert.equal(cluster.output().split('Gatehouse is running at').length, 2);
    assert.equal(cluster.output().split('/setup?token=').length, 2);
    assert.equal(cluster.logged('migrations applied').length, 1);
  });

  it('serve the demo together', async () => {
    const url = cluster.url.replace('127.0.0.1', 'localhost');
    const [, email = ''] = /sign in as +(\S+)/.exec(cluster.output()) ?? [];
    const [, password = ''] = /with the password +(\S+)/.exec(cluster.output()) ?? [];
    const agent = visitor();

    let page = await agent.follow(await agent.get(`${url}/demo/sign-in`), url);
    page = await agent.follow(await agent.submit(page, '/identifier', { username: email }), url);
    page = await agent.follow(await agent.submit(page, '/password', { password }), url);
    if (page.body.includes('name="decision"'))
      page = await agent.follow(await agent.submit(page, '/consent', { decision: 'allow' }), url);
    const again = [await agent.get(`${url}/demo`), await agent.get(`${url}/demo`)];
    const refreshed = await agent.follow(await agent.submit(page, '/demo/refresh'), url);

    for (const { body } of [page, ...again, refreshed]) assert.match(body, /Demo User/);
    // The refresh token is another one each time; the ID token is not within one second.
    assert.match(refreshed.body, /→/);
  });

  it('reload, and end with the database', async () => {
    cluster.kill('SIGHUP');
    await cluster.untilLogged('all workers are replaced');
    const afterwards = await fetch(`${cluster.url}/readyz`);
    const postgres = Number(readFileSync(postmasterFile(), 'utf8').split('\n')[0]);
    assert.ok(isRunning(postgres));

    cluster.kill('SIGTERM');
    const code = await cluster.ended;

    assert.equal(afterwards.status, 200);
    assert.equal(code, 0);
    while (isRunning(postgres)) await pause(20);
    assert.equal(cluster.output().split('Gatehouse is running at').length, 2);
  });
});
