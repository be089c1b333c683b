import assert from 'node:assert/strict';
import { tenantStore } from '../../src/tenants/tenant-store.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { basicAuth, createMachine, introspect, isActive, postForm, tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { UserAgent } from '../support/user-agent.ts';

const API = 'https://api.example/';

/** Two issuers in one server. What one of them gave is nothing to the other, even where everything is named alike. */
describe('tenants', () => {
  let app: TestApp;
  let here: TestTenant;
  let there: TestTenant;
  let mine: RelyingParty;
  let theirs: RelyingParty;
  before(async () => {
    app = await startTestApp();
    [here, there] = [await app.tenant(), await app.tenant()];
    for (const { actor } of [here, there])
      await app.services.resources.create(actor, { identifier: API, scopes: [{ name: 'read' }] });
    mine = await createRelyingParty(app, here, { clientId: 'the-app' });
    theirs = await createRelyingParty(app, there, { clientId: 'the-app' });
  });
  after(() => app.close());

  const atTheirs = () => ({ baseUrl: there.issuer });
  /** As if the browser sent one tenant's cookies to another. */
  function carriedOver(agent: UserAgent, kind = /session|accounts|interaction|resume/): UserAgent {
    const thief = createUserAgent();
    const [from, to] = [here.tenant.slug, there.tenant.slug];
    for (const cookie of agent.cookies.filter(({ name }) => kind.test(name))) {
      thief.cookies.push({ ...cookie, path: '/' });
      thief.cookies.push({ name: cookie.name.replace(from, to), value: cookie.value, path: '/' });
    }
    return thief;
  }

  it('know each other’s clients no more than strangers', async () => {
    const only = await createRelyingParty(app, here);

    const { status, location } = await createUserAgent().get(
      only.authorizationUrl().replace(here.issuer, there.issuer),
    );
    const answer = await only.token({ grant_type: 'refresh_token', refresh_token: 'rt_x' }, atTheirs());

    assert.deepEqual([status, location], [400, undefined]);
    assert.deepEqual([answer.status, answer.body.error], [401, 'invalid_client']);
  });

  it('accept no secret of a client that has the same name elsewhere', async () => {
    const { status } = await postForm(
      `${there.issuer}/token`,
      { grant_type: 'refresh_token', refresh_token: 'rt_x' },
      { authorization: basicAuth('the-app', mine.clientSecret ?? '') },
    );

    assert.equal(status, 401);
  });

  it('sign in no person of another, whose address and password are right', async () => {
    const agent = createUserAgent();
    const identifier = await agent.follow(await agent.get(theirs.authorizationUrl()), there.issuer);

    const password = await agent.follow(
      await agent.submit(identifier, '/identifier', { username: mine.user.email }),
      there.issuer,
    );
    const refused = await agent.follow(
      await agent.submit(password, '/password', { password: GOOD_PASSWORD }),
      there.issuer,
    );

    assert.match(refused.body, /name="password"/);
    assert.equal(refused.location, undefined);
  });

  it('tell apart people who have the same address in both', async () => {
    const email = `same-${Date.now()}@example.com`;
    const [a, b] = [
      await app.services.users.create(here.actor, { email, password: GOOD_PASSWORD }),
      await app.services.users.create(there.actor, { email, password: `${GOOD_PASSWORD} elsewhere` }),
    ];

    const found = await app.services.users.findByEmail(here.actor, email);

    assert.notEqual(a.id, b.id);
    assert.equal(found?.id, a.id);
    await assert.rejects(app.services.users.get(there.actor, a.id), /user.not_found|There is no/);
  });

  it('take no session cookie of another, whatever its name', async () => {
    const agent = createUserAgent();
    await mine.signIn(agent);

    const { location = '' } = await carriedOver(agent).get(theirs.authorizationUrl({ prompt: 'none' }));

    assert.equal(new URL(location).searchParams.get('error'), 'login_required');
  });

  it('show no account that signed in at another', async () => {
    const agent = createUserAgent();
    await mine.signIn(agent);
    const thief = carriedOver(agent, /accounts/);

    const { body } = await thief.follow(await thief.get(theirs.authorizationUrl()), there.issuer);

    assert.match(body, /name="username"/);
    assert.ok(!body.includes(mine.user.email));
  });

  it('continue no sign-in that began at another', async () => {
    const agent = createUserAgent();
    const page = await agent.follow(await agent.get(mine.authorizationUrl()), here.issuer);
    const thief = carriedOver(agent);

    const { status, body } = await thief.get(page.url.replace(here.issuer, there.issuer));

    assert.ok(status >= 400 && status < 500);
    assert.ok(!body.includes('name="username"'));
  });

  it('redeem no code of another, which stays good where it is from', async () => {
    const { code = '' } = await mine.signIn();

    const refused = await theirs.redeem(code);
    const given = await mine.redeem(code);

    assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant']);
    assert.equal(given.status, 200);
  });

  it('refresh no token of another, which stays good where it is from', async () => {
    const tokens = await tokensOf(mine);

    const refused = await theirs.refresh(tokens.refresh_token);
    const given = await mine.refresh(tokens.refresh_token);

    assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant']);
    assert.equal(given.status, 200);
  });

  it('show and revoke no token of another', async () => {
    const opaque = await tokensOf(mine);
    const jwt = await tokensOf(mine, { authorize: { scope: 'openid read', resource: API } });
    const tokens = [opaque.access_token, opaque.refresh_token, jwt.access_token];

    for (const token of tokens) {
      assert.deepEqual(await introspect(theirs, token), { active: false });
      assert.equal((await theirs.call('/revoke', { token })).status, 200);
    }

    for (const token of tokens) assert.equal(await isActive(mine, token), true);
  });

  it('answer userinfo for no token of another', async () => {
    const { access_token: token } = await tokensOf(mine);

    const { status } = await fetch(`${there.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${token}` },
    });

    assert.equal(status, 401);
  });

  it('take no ID token of another for a hint', async () => {
    const { id_token: hint } = await tokensOf(mine);

    const { location = '' } = await createUserAgent().get(
      theirs.authorizationUrl({ prompt: 'none', id_token_hint: hint }),
    );

    assert.equal(new URL(location).searchParams.get('error'), 'invalid_request');
  });

  it('remember no consent that was given at another', async () => {
    const consents = await app.db('consents').where({ client_id: 'the-app', tenant_id: here.tenant.id });
    const agent = createUserAgent();
    await mine.signIn(agent);

    const { location } = await agent.get(theirs.authorizationUrl());

    assert.ok(consents.every(({ user_id: userId }) => userId === mine.user.id));
    assert.ok(!location?.startsWith(REDIRECT_URI));
  });

  it('end with their being disabled, while the others go on', async () => {
    const closing = await app.tenant();
    const machine = await createMachine(app, closing);
    await machine.token();

    await app.db('tenants').where({ id: closing.tenant.id }).update({ disabled_at: new Date() });
    await tenantStore(app.db).raiseOidcVersion(closing.tenant.id);
    await app.registry.refresh();

    for (const path of [
      '/token',
      '/authorize',
      '/jwks',
      '/.well-known/openid-configuration',
      '/interaction/x',
    ])
      assert.equal((await fetch(`${closing.issuer}${path}`)).status, 404, path);
    assert.equal((await fetch(`${here.issuer}/jwks`)).status, 200);
  });
});
