import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { generateMetricsReference } from '../../scripts/generators/metrics-reference.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { startManagementServer } from '../../src/metrics/management-server.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import type { Metrics } from '../../src/metrics/metrics.ts';
import type { RunningServer } from '../../src/http/server.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

describe('metrics', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let metrics: Metrics;

  before(async () => {
    app = await startTestApp({ measured: true, env: { GATEHOUSE_RATE_LIMITS: 'on' } });
    metrics = app.metrics ?? assert.fail('no metrics');
    tenant = await app.tenant();
  });
  after(() => app.close());

  /** The samples of a metric that have all of these labels, added up. */
  async function valueOf(name: string, labels: Record<string, string> = {}): Promise<number> {
    const text = await metrics.registry.metrics();
    const samples = [...text.matchAll(/^(\w+)(?:\{(.*)\})? ([\d.e+-]+)$/gm)];
    return samples
      .filter(
        ([, sample, own = '']) =>
          sample === name &&
          Object.entries(labels).every(([label, value]) => own.includes(`${label}="${value}"`)),
      )
      .reduce((sum, [, , , value]) => sum + Number(value), 0);
  }

  async function growthOf(
    name: string,
    labels: Record<string, string>,
    work: () => Promise<unknown>,
  ): Promise<number> {
    const before = await valueOf(name, labels);
    await work();
    // What is measured at the end of a response is measured after the client has it.
    while (app.metrics && (await valueOf('gatehouse_http_requests_in_flight')) > 0)
      await new Promise((resolve) => setImmediate(resolve));
    return (await valueOf(name, labels)) - before;
  }

  const COUNT = 'gatehouse_http_request_duration_seconds_count';

  const requests: [path: string, labels: Record<string, string>][] = [
    ['/jwks', { method: 'GET', route: '/jwks', outcome: 'success' }],
    ['/userinfo', { method: 'GET', route: '/userinfo', outcome: 'refused' }],
    ['/authorize/a-made-up-one', { method: 'GET', route: '/authorize/:uid' }],
    ['/interaction/a-made-up-one/password', { method: 'GET', route: '/interaction/:uid/password' }],
    ['/setup', { method: 'GET', route: '/setup' }],
    ['/no/such/place', { method: 'GET', route: 'other', outcome: 'refused' }],
  ];
  for (const [path, labels] of requests) {
    it(`count a request of ${path} as ${Object.values(labels).join(' ')}`, async () => {
      const growth = await growthOf(COUNT, labels, () => fetch(`${tenant.issuer}${path}`));

      assert.equal(growth, 1);
    });
  }

  it('count tokens by their grant type, statements by their name, and looks into memory', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();

    const tokens = await growthOf(
      'gatehouse_token_responses_total',
      { grant_type: 'authorization_code' },
      () => rp.redeem(code),
    );

    assert.equal(tokens, 1);
    assert.ok((await valueOf('gatehouse_database_statement_duration_seconds_count', { outcome: 'ok' })) > 0);
    const statement = 'gatehouse_database_statement_duration_seconds_count';
    assert.ok((await valueOf(statement, { statement: 'commit' })) > 0);
    assert.match(await metrics.registry.metrics(), /statement="oidc_deferred_\+/);
    assert.ok((await valueOf('gatehouse_database_connection_wait_seconds_count')) > 0);
    assert.ok((await valueOf('gatehouse_directory_lookups_total', { kind: 'client', result: 'hit' })) > 0);
    assert.ok((await valueOf('gatehouse_directory_lookups_total', { kind: 'client', result: 'miss' })) > 0);
  });

  it('count waits for the database that were in vain', async () => {
    const timeouts = await growthOf('gatehouse_database_timeouts_total', { kind: 'statement' }, () =>
      app.db.transaction(async (trx) => {
        await trx.raw("SET LOCAL statement_timeout = '10ms'");
        await assert.rejects(async () => trx.raw('SELECT pg_sleep(10)'));
      }),
    );

    assert.equal(timeouts, 1);
  });

  it('count passwords by what came of them', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    const first = await agent.follow(await agent.get(rp.authorizationUrl()), tenant.issuer);
    const asked = await agent.submit(first, '/identifier', { username: rp.user.email });
    const page = await agent.follow(asked, tenant.issuer);
    const guess = () => agent.submit(page, '/password', { password: 'not this one at all' });
    const name = 'gatehouse_password_sign_ins_total';

    const failures = await growthOf(name, { outcome: 'failure' }, async () => {
      for (let index = 0; index < 12; index += 1) await guess();
    });

    assert.equal(failures, 10);
    assert.equal(await valueOf(name, { outcome: 'throttled' }), 2);
    assert.equal(await valueOf(name, { outcome: 'success' }), 1);
  });

  it('show the seats of sign-ins: taken, waited for, and refused', async () => {
    const { admitSignIn } = app.services;
    const { promise: judged, resolve: judge } = Promise.withResolvers<void>();
    const turnedAway = 'gatehouse_sign_ins_turned_away_total';
    const before = [await valueOf(turnedAway), await valueOf('gatehouse_sign_in_wait_seconds_count')];
    const admitted: Promise<unknown>[] = [];

    // Somebody is refused, or waits in vain, when all seats and all places are taken.
    const refused = new Promise<void>((resolve) => {
      const admit = () => admitSignIn(() => judged).catch(() => resolve());
      for (let index = 0; index < 1_000; index += 1) admitted.push(admit());
    });
    await refused;
    const taken = await valueOf('gatehouse_sign_ins_running');
    const waiting = await valueOf('gatehouse_sign_ins_waiting');
    judge();
    await Promise.all(admitted);

    const refusals = (await valueOf(turnedAway)) - (before[0] ?? 0);
    assert.ok(taken > 0 && waiting > 0, `${taken} taken, ${waiting} waiting`);
    assert.ok(refusals >= 1_000 - taken - waiting, `${refusals} turned away`);
    assert.equal(
      (await valueOf('gatehouse_sign_in_wait_seconds_count')) - (before[1] ?? 0),
      1_000 - refusals,
    );
    assert.equal(await valueOf('gatehouse_sign_ins_running'), 0);
  });

  it('count waits for another request with the same code', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();

    const waits = await growthOf('gatehouse_token_gate_wait_seconds_count', {}, () =>
      Promise.all([rp.redeem(code), rp.redeem(code), rp.redeem(code)]),
    );

    assert.equal(waits, 2);
  });

  it('show the pool, the hash queue, the event loop and the process', async () => {
    const text = await metrics.registry.metrics();

    for (const name of [
      'gatehouse_database_connections{state="used"}',
      'gatehouse_database_connections{state="free"}',
      'gatehouse_database_connections_max',
      'gatehouse_database_connections_pending',
      'gatehouse_sign_ins_running',
      'gatehouse_sign_ins_waiting',
      'gatehouse_sign_ins_turned_away_total',
      'gatehouse_password_hashes_running',
      'gatehouse_password_hashes_queued',
      'gatehouse_password_hashes_rejected_total',
      'gatehouse_nodejs_eventloop_lag_p99_seconds',
      'gatehouse_process_cpu_seconds_total',
      'gatehouse_process_resident_memory_bytes',
    ]) {
      assert.match(text, new RegExp(`^${name.replace(/[{}]/g, '\\$&')} [\\d.e+-]+$`, 'm'));
    }
  });

  it('all begin with gatehouse_ and name their unit', async () => {
    const all = metrics.registry.getMetricsAsArray().map(({ name, type }) => ({ name, type: String(type) }));

    for (const { name, type } of all) {
      assert.match(name, /^gatehouse_[a-z0-9_]+$/);
      if (type === 'counter') assert.match(name, /_total$/);
      if (type === 'histogram') assert.match(name, /_seconds$/);
    }
  });

  it('are all in docs/metrics.md', async () => {
    assert.equal(await readFile('docs/metrics.md', 'utf8'), await generateMetricsReference());
  });

  it('hold no address, client, tenant or person', async () => {
    const rp = await createRelyingParty(app, tenant);
    await rp.redeem((await rp.signIn()).code ?? '');

    const text = await metrics.registry.metrics();

    for (const secret of [
      rp.clientId,
      rp.user.email,
      rp.user.id,
      tenant.tenant.slug,
      tenant.tenant.id,
      '127.0.0.1',
    ])
      assert.equal(text.includes(secret), false, secret);
  });

  it('do not count what is not measured any more', async () => {
    const own = createMetrics({
      version: 'test',
      db: app.db,
      poolMax: 1,
      passwordHashes: () => ({ running: 0, queued: 0, rejected: 0 }),
      signInSeats: () => ({ taken: 0, waiting: 0, turnedAway: 0 }),
    });
    own.stop();

    assert.deepEqual(own.registry.getMetricsAsArray(), []);
  });
});

describe('the management port', () => {
  const log = createLogger({ level: 'silent' });
  const options = { host: '127.0.0.1', port: 0, log };
  let server: RunningServer;

  before(async () => {
    const started = await startManagementServer({ ...options, render: async () => 'a_metric 1\n' });
    server = started ?? assert.fail('it does not listen');
  });
  after(() => server.drain());

  it('answers Prometheus', async () => {
    const response = await fetch(`${server.url}/metrics`);

    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(await response.text(), 'a_metric 1\n');
  });

  it('says that it is alive, and has nothing else', async () => {
    assert.equal((await fetch(`${server.url}/livez`)).status, 200);
    assert.equal((await fetch(`${server.url}/token`)).status, 404);
    assert.equal((await fetch(`${server.url}/metrics`, { method: 'POST' })).status, 405);
  });

  it('is done without where it is taken: nobody is refused a sign-in for want of metrics', async () => {
    const second = await startManagementServer({ ...options, port: server.port, render: async () => '' });

    assert.equal(second, undefined);
  });

  it('says so when the metrics cannot be collected', async () => {
    const broken = await startManagementServer({ ...options, render: () => Promise.reject(new Error('no')) });

    const response = await fetch(`${broken?.url}/metrics`);

    assert.equal(response.status, 500);
    await broken?.drain();
  });
});
