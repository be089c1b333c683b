import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { KEYS, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { inOrderBehind } from '../support/blocked.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { TokenResponse } from '../support/relying-party.ts';
import { startReplicas } from '../support/replicas.ts';
import type { Replica } from '../support/replicas.ts';
import { isActive, tokensOf } from '../support/token-sets.ts';

/** What a token request has cost the client when it comes to its end. */
describe('the end of a token request', function () {
  this.timeout(60_000);
  const keys = [KEYS, randomBytes(32).toString('base64')];
  let app: TestApp;
  let tenant: TestTenant;
  let replica: Replica;
  before(async () => {
    app = await startTestApp({ env: { GATEHOUSE_KEYS: keys.join(',') } });
    tenant = await app.tenant();
    // In the middle of a change of keys: each knows both, and they begin with another one.
    [replica = assert.fail()] = await startReplicas(1, app.url, {
      GATEHOUSE_KEYS: keys.toReversed().join(','),
    });
  });
  after(async () => {
    await replica.close();
    await app.close();
  });

  it('leaves a code unused where the server failed', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const { code = '' } = await rp.signIn();
    const { provider } = (await app.registry.get(tenant.tenant.slug)) ?? assert.fail('no provider');
    const tokens = provider.AccessToken.prototype;

    tokens.save = () => Promise.reject(new Error('it cannot be signed'));
    const failed = await rp.redeem(code).finally(() => {
      Reflect.deleteProperty(tokens, 'save');
    });
    const again = await rp.redeem(code);
    const reused = await rp.redeem(code);

    assert.deepEqual([failed.status, failed.body.error], [500, 'server_error']);
    assert.equal(again.status, 200);
    assert.deepEqual([reused.status, reused.body.error], [400, 'invalid_grant']);
  });

  it('lets a client come back that refreshed on two servers at once, each with another current key', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const { refresh_token: token } = await tokensOf(rp);
    const elsewhere = tenant.issuer.replace(app.url, replica.url);
    const refresh = (baseUrl: string) =>
      rp.token({ grant_type: 'refresh_token', refresh_token: token }, { baseUrl });

    const [first, second] = await inOrderBehind<[TokenResponse, TokenResponse]>(
      app.db,
      // Both have read everything when they come to write.
      (trx) => trx.raw('LOCK TABLE ONLY oidc_models IN SHARE MODE'),
      [() => refresh(tenant.issuer), () => refresh(elsewhere)],
    );
    const [won, lost] = first.status === 200 ? [first, second] : [second, first];
    const again = await refresh(elsewhere);

    assert.equal(won.status, 200);
    assert.deepEqual([lost.status, lost.body.error], [503, 'temporarily_unavailable']);
    assert.equal(lost.headers.get('retry-after'), '1');
    assert.equal(again.status, 200);
    assert.equal(again.body.refresh_token, won.body.refresh_token);
    assert.ok(await isActive(rp, won.body.access_token ?? ''));
    assert.equal((await rp.refresh(won.body.refresh_token ?? '')).status, 200);
  });
});
