import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';

describe('authorization code flow', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  it('signs in with identifier, password and consent, and redeems the code for tokens', async () => {
    const rp = await createRelyingParty(app, tenant);

    const { code = '', iss, state } = await rp.signIn();
    const { status, body } = await rp.redeem(code);

    assert.equal(iss, tenant.issuer);
    assert.equal(state, 'a-state');
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(decodeJwt(body.id_token ?? '').sub, rp.user.id);
    assert.match(body.refresh_token ?? '', /^rt_/);
  });

  it('rotates the refresh token', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();
    const first = await rp.redeem(code);

    const second = await rp.refresh(first.body.refresh_token ?? '');

    assert.equal(second.status, 200, JSON.stringify(second.body));
    assert.notEqual(second.body.refresh_token, first.body.refresh_token);
  });
});
