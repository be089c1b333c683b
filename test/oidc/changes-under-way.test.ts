import assert from 'node:assert/strict';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

/** An administrator is at work while people sign in: it ends well or is refused, but nothing breaks. */
describe('what changes while somebody signs in', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  let agent: UserAgent;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  beforeEach(async () => {
    rp = await createRelyingParty(app, tenant);
    agent = createUserAgent();
  });
  after(() => app.close());

  const follow = (page: Page) => agent.follow(page, tenant.issuer);
  const open = async (params: Record<string, string> = {}) =>
    follow(await agent.get(rp.authorizationUrl(params)));
  const toPassword = async () =>
    follow(await agent.submit(await open(), '/identifier', { username: rp.user.email }));
  const enter = async (page: Page) =>
    follow(await agent.submit(page, '/password', { password: GOOD_PASSWORD }));
  const toConsent = async () => enter(await toPassword());
  const allow = async (page: Page) => follow(await agent.submit(page, '/consent', { decision: 'allow' }));
  const isSignInPage = ({ status, body }: Page) =>
    status === 200 && /name="(username|account|password)"/.test(body);
  const isRefusal = ({ status, location }: Page) =>
    (status >= 400 && status < 500) || (location ?? '').startsWith(`${REDIRECT_URI}?error=`);

  const USER_ENDS = {
    disabled: () => app.services.users.disable(tenant.actor, rp.user.id),
    deleted: () => app.services.users.delete(tenant.actor, rp.user.id),
  };
  for (const [how, end] of Object.entries<() => Promise<unknown>>(USER_ENDS)) {
    it(`a user is ${how}: their session leads to the sign-in`, async () => {
      await rp.signIn(agent);
      await end();

      assert.ok(isSignInPage(await open()));
    });

    it(`a user is ${how} before their password arrives: it is refused like a wrong one`, async () => {
      const page = await toPassword();
      await end();

      const answered = await enter(page);

      assert.match(answered.body, /name="password"/);
    });

    it(`a user is ${how} before they consent: they sign in anew`, async () => {
      const page = await toConsent();
      await end();

      const answered = await allow(page);

      assert.ok(isSignInPage(answered) || isRefusal(answered), `${answered.status} ${answered.location}`);
      assert.ok(!answered.location?.includes('code='));
    });

    it(`a user is ${how}: signing out still works`, async () => {
      await rp.signIn(agent);
      await end();

      const page = await agent.get(`${tenant.issuer}/logout`);
      const done = await agent.submit(page, '/logout/confirm', { logout: 'yes' });

      assert.ok(done.status < 400, String(done.status));
    });
  }

  it('sessions end before they consent: nothing is allowed, and they sign in anew', async () => {
    const page = await toConsent();
    await app.services.sessions.revokeAll(tenant.actor, rp.user.id);

    const answered = await allow(page);

    assert.ok(isSignInPage(answered), `${answered.status} ${answered.location}`);
    assert.deepEqual(await app.db('consents').where({ user_id: rp.user.id }), []);
    const grants = app.db('oidc_models').where({ tenant_id: tenant.tenant.id, account_id: rp.user.id });
    assert.deepEqual(await grants.where({ model: 'Grant' }), []);
    assert.ok((await rp.signIn(agent))['code']);
  });

  it('a user is no longer active though their session is alive: it leads to the sign-in', async () => {
    await rp.signIn(agent);
    await app.db('users').where({ id: rp.user.id }).update({ status: 'locked' });

    const page = await open();
    const silent = await agent.get(rp.authorizationUrl({ prompt: 'none' }));

    assert.ok(isSignInPage(page));
    assert.equal(new URL(silent.location ?? '').searchParams.get('error'), 'login_required');
  });

  const CLIENT_ENDS = {
    disabled: () => app.services.clients.disable(tenant.actor, rp.clientId),
    deleted: () => app.services.clients.delete(tenant.actor, rp.clientId),
  };
  for (const [how, end] of Object.entries<() => Promise<unknown>>(CLIENT_ENDS)) {
    it(`a client is ${how} before the sign-in: it is refused on a page`, async () => {
      await end();
      await app.registry.refresh();

      const { status, location } = await open();

      assert.deepEqual([status, location], [400, undefined]);
    });

    for (const [when, begin, goOn] of [
      ['before the password', toPassword, enter],
      ['before the consent', toConsent, allow],
    ] as const) {
      it(`a client is ${how} ${when}: it is refused on a page`, async () => {
        const page = await begin();
        await end();
        await app.registry.refresh();

        const seen = await agent.get(page.url);
        const answered = await goOn(page);

        assert.ok(seen.status < 500, String(seen.status));
        assert.ok(answered.status < 500, String(answered.status));
        assert.ok(!answered.location?.includes('code='));
      });
    }

    it(`a client is ${how}: signing out of its session still works`, async () => {
      await rp.signIn(agent);
      await end();
      await app.registry.refresh();

      const page = await agent.get(`${tenant.issuer}/logout`);
      const done = await agent.submit(page, '/logout/confirm', { logout: 'yes' });

      assert.equal(done.status, 303);
    });
  }

  it('a client loses its redirect URI: nobody is sent there any more', async () => {
    const page = await toConsent();
    await app.services.clients.update(tenant.actor, rp.clientId, {
      metadata: { redirect_uris: ['https://app.example/new'] },
    });
    await app.registry.refresh();

    const { status, location } = await agent.get(rp.authorizationUrl());
    const answered = await allow(page);

    assert.deepEqual([status, location], [400, undefined]);
    assert.ok(answered.status < 500);
    assert.ok(!answered.location?.includes('code='), answered.location);
  });

  it('a resource disappears: the sign-in ends with an error at the app', async () => {
    const identifier = `https://api-${Date.now()}.example/`;
    await app.services.resources.create(tenant.actor, { identifier, scopes: [{ name: 'read' }] });
    await app.registry.refresh();
    const password = await follow(
      await agent.submit(await open({ scope: 'openid read', resource: identifier }), '/identifier', {
        username: rp.user.email,
      }),
    );
    await app.services.resources.delete(tenant.actor, identifier);
    await app.registry.refresh();

    const answered = await enter(password);

    assert.ok(isRefusal(answered), `${answered.status} ${answered.location}`);
  });

  it('the keys are rotated: nobody notices', async () => {
    const page = await toPassword();
    await app.services.keys.rotate(tenant.actor, { force: true });
    await app.registry.refresh();

    const { location = '' } = await allow(await enter(page));
    const { status } = await rp.redeem(new URL(location).searchParams.get('code') ?? '');

    assert.equal(status, 200);
  });

  it('the tenant is disabled: it is gone', async () => {
    const closing = await app.tenant();
    const there = await createRelyingParty(app, closing);
    const page = await agent.follow(await agent.get(there.authorizationUrl()), closing.issuer);
    await app
      .db('tenants')
      .where({ id: closing.tenant.id })
      .update({ disabled_at: new Date(), oidc_version: 99 });
    await app.registry.refresh();

    const { status } = await agent.submit(page, '/identifier', { username: there.user.email });

    assert.equal(status, 404);
  });

  it('the password is set anew: the old one is refused, and the session of before is over', async () => {
    await rp.signIn(agent);
    const elsewhere = await createRelyingParty(app, tenant);
    await app.services.users.setPassword(tenant.actor, rp.user.id, 'another correct horse battery');

    const { location = '' } = await agent.get(elsewhere.authorizationUrl({ prompt: 'none' }));
    const page = await follow(await agent.get(rp.authorizationUrl()));

    assert.equal(new URL(location).searchParams.get('error'), 'login_required');
    assert.ok(isSignInPage(page));
  });
});
