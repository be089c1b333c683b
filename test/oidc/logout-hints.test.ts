import assert from 'node:assert/strict';
import { decodeProtectedHeader } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

const GOODBYE = 'https://app.example/goodbye';

/** Apps keep the ID token of a sign-in as long as the session, which outlives signing keys. */
describe('signing out with an ID token whose key is gone', () => {
  let app: TestApp;
  let tenant: TestTenant;
  beforeEach(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  afterEach(() => app.close());

  async function signedInBeforeTheKeyWent() {
    const rp = await createRelyingParty(app, tenant, { metadata: { post_logout_redirect_uris: [GOODBYE] } });
    const agent = createUserAgent();
    const { id_token: idToken } = await tokensOf(rp, { agent });
    await app.services.keys.revoke(tenant.actor, decodeProtectedHeader(idToken).kid ?? '');
    await app.registry.refresh();
    const ask = (params: Record<string, string> = {}) =>
      agent.get(
        `${tenant.issuer}/logout?${new URLSearchParams({ id_token_hint: idToken, ...params }).toString()}`,
      );
    return { rp, agent, idToken, ask };
  }

  it('asks instead of failing, and still returns to the app', async () => {
    const { agent, ask } = await signedInBeforeTheKeyWent();

    const page = await ask({ post_logout_redirect_uri: GOODBYE, state: 'bye' });
    const { location } = await agent.submit(page, '/logout/confirm', { logout: 'yes' });

    assert.equal(page.status, 200);
    assert.ok(!page.body.includes('data-auto-submit'));
    assert.equal(location, `${GOODBYE}?state=bye`);
  });

  it('still compares the address to return to', async () => {
    const { ask } = await signedInBeforeTheKeyWent();

    const { status, location } = await ask({ post_logout_redirect_uri: 'https://evil.example/' });

    assert.deepEqual([status, location], [400, undefined]);
  });

  it('does not believe that the token is of another app than the request says', async () => {
    const { ask } = await signedInBeforeTheKeyWent();
    const other = await createRelyingParty(app, tenant);

    const { status } = await ask({ client_id: other.clientId });

    assert.equal(status, 400);
  });

  it('is no way around the signature while the key is known', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    const { id_token: idToken } = await tokensOf(rp, { agent });

    const { status } = await agent.get(
      `${tenant.issuer}/logout?id_token_hint=${idToken.replace(/[^.]+$/, 'AAAA')}`,
    );

    assert.equal(status, 400);
  });
});
