import assert from 'node:assert/strict';
import { health } from '../../src/http/health.ts';
import type { HealthOptions } from '../../src/http/health.ts';
import { startApp, stopServers } from './support.ts';

const passes = async () => {};

async function probe(options: Partial<HealthOptions> = {}) {
  const app = await startApp(
    health({
      checks: { database: passes, migrations: passes, keys: passes },
      isDraining: () => false,
      version: '1.2.3',
      ...options,
    }),
  );
  const get = async (path: string) => {
    const response = await fetch(app.url + path);
    return { status: response.status, body: await response.json(), headers: response.headers };
  };
  return { ...app, get };
}

const fails = async () => {
  throw new Error('connect postgresql://user:canary@10.0.0.1/db');
};

describe('health', () => {
  afterEach(stopServers);

  it('says live, ready and healthy when every check passes', async () => {
    const { get } = await probe();
    const checks = { database: 'ok', migrations: 'ok', keys: 'ok' };

    const [live, ready, healthPage, healthz] = await Promise.all(
      ['/livez', '/readyz', '/health', '/healthz'].map(get),
    );

    assert.deepEqual([live?.status, live?.body], [200, { status: 'ok' }]);
    assert.deepEqual([ready?.status, ready?.body], [200, { status: 'ok', checks }]);
    assert.deepEqual(
      [healthPage?.status, healthPage?.body],
      [200, { status: 'ok', version: '1.2.3', checks }],
    );
    assert.deepEqual(healthz?.body, healthPage?.body);
  });

  it('is live but not ready when a check fails, and says which', async () => {
    const { get } = await probe({ checks: { database: fails, keys: passes } });

    const live = await get('/livez');
    const ready = await get('/readyz');

    assert.equal(live.status, 200);
    assert.equal(ready.status, 503);
    assert.deepEqual(ready.body, { status: 'unavailable', checks: { database: 'failed', keys: 'ok' } });
  });

  it('keeps the reason of a failure to the log', async () => {
    const { get, line } = await probe({ checks: { database: fails } });

    const { body } = await get('/health');

    assert.doesNotMatch(JSON.stringify(body), /canary/);
    assert.partialDeepStrictEqual(await line('health check failed'), { check: 'database', level: 'warn' });
  });

  it('counts a check that does not answer in time as failed', async () => {
    const { get } = await probe({
      checks: { database: () => new Promise(() => {}), keys: passes },
      checkTimeoutMs: 20,
    });

    const { status, body } = await get('/readyz');

    assert.equal(status, 503);
    assert.deepEqual(body, { status: 'unavailable', checks: { database: 'failed', keys: 'ok' } });
  });

  it('checks once for all probes of a quarter of a second, and anew after it', async () => {
    let now = 1_000;
    let checks = 0;
    const { get } = await probe({
      checks: { database: async () => void (checks += 1) },
      clock: () => now,
    });

    for (const path of ['/readyz', '/health', '/readyz']) await get(path);
    const checksAtOnce = checks;
    now += 250;
    await get('/readyz');

    assert.equal(checksAtOnce, 1);
    assert.equal(checks, 2);
  });

  it('counts a check that throws at once as failed', async () => {
    const { get } = await probe({
      checks: {
        database: () => {
          throw new Error('synchronous');
        },
      },
    });

    assert.equal((await get('/readyz')).status, 503);
  });

  it('is live but not ready while draining, without asking the database', async () => {
    let asked = 0;
    const { get } = await probe({ checks: { database: async () => (asked += 1) }, isDraining: () => true });

    const live = await get('/livez');
    const ready = await get('/readyz');

    assert.equal(live.status, 200);
    assert.deepEqual([ready.status, ready.body], [503, { status: 'draining', checks: {} }]);
    assert.equal(asked, 0);
  });

  it('asks once for probes that come together, and anew for the next', async () => {
    let asked = 0;
    let arrived = 0;
    const { promise: answer, resolve } = Promise.withResolvers<void>();
    const checks = {
      database: () => {
        asked += 1;
        return answer;
      },
    };
    let now = 1_000;
    const middleware = health({ checks, isDraining: () => false, version: '1', clock: () => now });
    const { url } = await startApp((ctx, next) => {
      const result = middleware(ctx, next);
      if (++arrived === 20) resolve();
      return result;
    });

    const probes = await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/readyz`)));
    const askedTogether = asked;
    now += 250;
    await fetch(`${url}/readyz`);

    assert.ok(probes.every(({ status }) => status === 200));
    assert.equal(askedTogether, 1);
    assert.equal(asked, 2);
  });

  it('is never cached', async () => {
    const { get } = await probe();

    assert.equal((await get('/readyz')).headers.get('cache-control'), 'no-store');
  });

  it('leaves other paths and methods to others', async () => {
    const { get, url } = await probe();

    assert.equal((await get('/readyz/x')).status, 404);
    assert.equal((await fetch(`${url}/readyz`, { method: 'POST' })).status, 404);
  });
});
