import assert from 'node:assert/strict';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { UserAgent } from '../support/user-agent.ts';

const API = 'https://api.example/';

describe('consent', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    await app.services.resources.create(tenant.actor, {
      identifier: API,
      name: 'The API',
      scopes: [{ name: 'read', description: 'Read your things' }, { name: 'write' }],
    });
  });
  after(() => app.close());

  const open = async (rp: RelyingParty, agent: UserAgent, params: Record<string, string> = {}) =>
    agent.follow(await agent.get(rp.authorizationUrl(params)), tenant.issuer);
  const isAsked = async (rp: RelyingParty, agent: UserAgent, params: Record<string, string> = {}) =>
    (await open(rp, agent, params)).body.includes('name="decision"');
  const signedIn = async (params: Record<string, string> = {}) => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    await rp.signIn(agent, params);
    return { rp, agent };
  };
  const native = (redirectUri: string, firstParty: boolean) =>
    createRelyingParty(app, tenant, {
      firstParty,
      metadata: {
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: [redirectUri],
      },
    });

  it('names the app, the person, what is asked for and where it leads', async () => {
    const { rp, agent } = await signedIn();

    const { body } = await open(rp, agent, { scope: 'openid email read', resource: API });

    for (const text of ['Test app', rp.user.email, 'The API', 'Read your things', 'app.example'])
      assert.ok(body.includes(text), text);
  });

  it('is remembered', async () => {
    const { rp, agent } = await signedIn({ scope: 'openid email' });

    assert.equal(await isAsked(rp, agent, { scope: 'openid email' }), false);
    assert.equal(await isAsked(rp, agent, { scope: 'openid' }), false);
  });

  it('is remembered in other browsers', async () => {
    const { rp } = await signedIn({ scope: 'openid email' });
    const agent = createUserAgent();
    const identifier = await open(rp, agent, { scope: 'openid email' });
    const typed = await agent.submit(identifier, '/identifier', { username: rp.user.email });
    const password = await agent.follow(typed, tenant.issuer);

    const entered = await agent.submit(password, '/password', { password: GOOD_PASSWORD });
    const { location } = await agent.follow(entered, tenant.issuer);

    assert.ok(location?.startsWith(REDIRECT_URI));
  });

  it('is asked for what is new, and adds up', async () => {
    const { rp, agent } = await signedIn({ scope: 'openid email' });

    const more = await isAsked(rp, agent, { scope: 'openid phone' });
    await rp.signIn(agent, { scope: 'openid phone' });
    const both = await isAsked(rp, agent, { scope: 'openid email phone' });

    assert.deepEqual([more, both], [true, false]);
  });

  it('is given by scope of each resource, and by claim', async () => {
    const { rp, agent } = await signedIn({ scope: 'openid read', resource: API });

    const asked = [
      await isAsked(rp, agent, { scope: 'openid read', resource: API }),
      await isAsked(rp, agent, { scope: 'openid read write', resource: API }),
      await isAsked(rp, agent, { claims: '{"userinfo":{"email":null}}' }),
    ];

    assert.deepEqual(asked, [false, true, true]);
  });

  it('is given to one app', async () => {
    const { agent } = await signedIn();
    const other = await createRelyingParty(app, tenant);

    assert.equal(await isAsked(other, agent), true);
  });

  it('is given by one person', async () => {
    const { rp } = await signedIn();
    const other = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    await other.signIn(agent);

    assert.equal(await isAsked(rp, agent), true);
  });

  it('that was declined is none', async () => {
    const { rp, agent } = await signedIn();
    const page = await open(rp, agent, { scope: 'openid email' });

    const declined = await agent.submit(page, '/consent', { decision: 'cancel' });
    const { location = '' } = await agent.follow(declined, tenant.issuer);

    assert.equal(new URL(location).searchParams.get('error'), 'access_denied');
    assert.equal(await isAsked(rp, agent, { scope: 'openid email' }), true);
  });

  it('is recorded with what was allowed', async () => {
    const { rp } = await signedIn({ scope: 'openid email' });

    const events = await app
      .db('events')
      .where({ tenant_id: tenant.tenant.id, type: 'consent.granted', target_id: rp.clientId });
    assert.deepEqual(
      events.map((event) => [event.actor_type, event.actor_id, event.data.allowed.scopes]),
      [['user', rp.user.id, ['openid', 'email']]],
    );
  });

  it('is not asked for by an app of the house', async () => {
    const { agent } = await signedIn();
    const house = await createRelyingParty(app, tenant, { firstParty: true });

    const { location } = await open(house, agent, { scope: 'openid email read', resource: API });

    assert.ok(location?.startsWith(REDIRECT_URI));
  });

  it('is asked for each time by an app on the device, whose address anybody can claim', async () => {
    for (const firstParty of [false, true]) {
      const phone = await native('com.example.app:/callback', firstParty);
      const { agent } = await signedIn();
      const params = { redirect_uri: 'com.example.app:/callback' };
      const first = await open(phone, agent, params);
      await agent.submit(first, '/consent', { decision: 'allow' });

      const again = await isAsked(phone, agent, params);
      const silent = await agent.get(phone.authorizationUrl({ ...params, prompt: 'none' }));

      assert.match(first.body, /name="decision"/);
      assert.equal(again, true);
      assert.match(silent.location ?? '', /^com\.example\.app:\/callback\?error=/);
    }
  });

  it('is not asked for by an app of the house on the device that owns its address', async () => {
    const { agent } = await signedIn();
    const phone = await native(REDIRECT_URI, true);

    const { location } = await open(phone, agent);

    assert.ok(new URL(location ?? '').searchParams.get('code'));
  });
});
