import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { ready, startRedisServer } from '../support/redis-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { createRelyingParty } from '../support/relying-party.ts';

/** Each outage lasts for the whole of a test: whatever waited for Redis would run into its time-out. */
describe('a server whose Redis', () => {
  let redis: RedisServer;
  let app: TestApp;
  let tenant: TestTenant;

  beforeEach(async () => {
    redis = await startRedisServer();
    app = await startTestApp({
      env: { REDIS_URL: redis.url, GATEHOUSE_RATE_LIMITS: 'on', GATEHOUSE_RATE_LIMIT_PAGES: '20' },
    });
    if (app.redis && !app.redis.isReady()) await ready(app.redis);
    tenant = await app.tenant();
  });
  afterEach(async () => {
    redis.resume();
    await app.close();
    await redis.stop();
  });

  const outages: [what: string, begin: () => unknown][] = [
    ['has stopped answering', () => redis.stall()],
    ['is gone', () => redis.kill()],
    ['is flushed', () => redis.flush()],
  ];
  for (const [what, begin] of outages) {
    it(`${what} signs people in, issues and refreshes tokens, and takes changes`, async () => {
      const rp = await createRelyingParty(app, tenant);
      await begin();

      const { code = '' } = await rp.signIn();
      const issued = await rp.redeem(code);
      const refreshed = await rp.refresh(issued.body.refresh_token ?? '');
      await app.services.clients.disable(tenant.actor, rp.clientId);
      const refused = await rp.refresh(refreshed.body.refresh_token ?? '');

      assert.equal(refreshed.status, 200);
      assert.equal(refused.body.error, 'invalid_client');
    });

    it(`${what} goes on limiting requests`, async () => {
      await begin();

      let status = 0;
      for (let count = 0; status !== 429; count += 1) {
        assert.ok(count < 60, 'nothing was refused');
        status = (await fetch(`${tenant.issuer}/authorize`)).status;
      }

      assert.equal(status, 429);
    });
  }

  it('was never there starts all the same', async () => {
    const other = await startTestApp({ env: { REDIS_URL: 'redis://127.0.0.1:1' } });
    const rp = await createRelyingParty(other, await other.tenant());

    const { code = '' } = await rp.signIn();

    assert.equal((await rp.redeem(code)).status, 200);
    await other.close();
  });
});
