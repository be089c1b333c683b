import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { startReplicas } from '../support/replicas.ts';
import type { Replica } from '../support/replicas.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { isActive, tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { UserAgent } from '../support/user-agent.ts';

const API = 'https://api.example/sessions';

describe('ending sessions from elsewhere', function () {
  this.timeout(60_000);
  let app: TestApp;
  let tenant: TestTenant;
  let replicas: Replica[];

  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    replicas = await startReplicas(2, app.url);
    await app.services.resources.create(tenant.actor, {
      identifier: API,
      name: 'API',
      scopes: [{ name: 'read', description: '' }],
    });
  });
  after(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
    await app.close();
  });

  const at = (index: number, url: string) =>
    url.replace(app.url, replicas[index % replicas.length]?.url ?? '');
  const idsOf = async ({ user }: RelyingParty) =>
    (await app.services.sessions.list(tenant.actor, user.id)).map(({ id }) => id);
  const uidOf = async (id: string | undefined) =>
    String((await app.db('user_sessions').where({ id }).first('session_uid'))?.session_uid);
  const isSignedIn = async (rp: RelyingParty, agent: UserAgent) => {
    const { location = '' } = await agent.get(rp.authorizationUrl({ prompt: 'none' }));
    return new URL(location).searchParams.has('code');
  };
  const userinfo = async (token: string, baseUrl = tenant.issuer) =>
    (await fetch(`${baseUrl}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).status;
  const endedEvents = ({ user }: RelyingParty) =>
    app.db('events').where({ tenant_id: tenant.tenant.id, type: 'session.ended', target_id: user.id });

  it('ends everything that hangs on the session at once, on every replica, and nothing else', async () => {
    const rp = await createRelyingParty(app, tenant);
    const [agent, other] = [createUserAgent(), createUserAgent()];
    const opaque = await tokensOf(rp, { agent });
    const jwt = await tokensOf(rp, { agent, authorize: { scope: 'openid read', resource: API } });
    const kept = await tokensOf(rp, { agent: other });
    const [, id = ''] = await idsOf(rp);

    await app.services.sessions.revoke(tenant.actor, rp.user.id, id);

    for (const { url } of replicas) {
      const baseUrl = tenant.issuer.replace(app.url, url);
      assert.equal(await isActive(rp, opaque.access_token, { baseUrl }), false);
      assert.equal(await isActive(rp, jwt.access_token, { baseUrl }), false);
      assert.equal(await userinfo(opaque.access_token, baseUrl), 401);
      const refreshed = await rp.token(
        { grant_type: 'refresh_token', refresh_token: opaque.refresh_token },
        { baseUrl },
      );
      assert.deepEqual([refreshed.status, refreshed.body.error], [400, 'invalid_grant']);
    }
    assert.equal(await isSignedIn(rp, agent), false);
    assert.equal(await isSignedIn(rp, other), true);
    assert.equal(await isActive(rp, kept.access_token), true);
    assert.equal((await rp.refresh(kept.refresh_token)).status, 200);
    const [event, ...more] = await endedEvents(rp);
    assert.deepEqual(more, []);
    assert.deepEqual([event.reason, event.data], ['revoked', { session_id: id }]);
  });

  it('leaves what was granted offline access, and of the same app ends what was not', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    const scope = 'openid offline_access';
    const offline = await tokensOf(rp, { agent, authorize: { scope, prompt: 'consent' } });
    const bound = await tokensOf(rp, { agent, authorize: { scope: 'openid read', resource: API } });

    await app.services.sessions.revokeAll(tenant.actor, rp.user.id);

    assert.equal((await rp.refresh(offline.refresh_token)).status, 200);
    assert.equal(await isActive(rp, offline.access_token), true);
    assert.equal(await isActive(rp, bound.access_token), false);
    assert.equal((await rp.refresh(bound.refresh_token)).body.error, 'invalid_grant');
    assert.equal(await isSignedIn(rp, agent), false);
  });

  it('ends all others and keeps the one that asks', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agents = [createUserAgent(), createUserAgent(), createUserAgent()];
    for (const agent of agents) await rp.signIn(agent);
    const [last] = await idsOf(rp);

    const ended = await app.services.sessions.revokeOthers(tenant.actor, rp.user.id, await uidOf(last));

    assert.equal(ended, 2);
    assert.deepEqual(await idsOf(rp), [last]);
    const signedIn = await Promise.all(agents.map((agent) => isSignedIn(rp, agent)));
    assert.deepEqual(signedIn, [false, false, true]);
  });

  it('tells apps by back-channel logout', async () => {
    const rp = await createRelyingParty(app, tenant, {
      metadata: { backchannel_logout_uri: 'https://app.example/logged-out' },
    });
    await rp.signIn();

    await app.services.sessions.revokeAll(tenant.actor, rp.user.id);

    const [delivery] = await app.db('logout_deliveries').where({ client_id: rp.clientId });
    assert.equal(delivery.account_id, rp.user.id);
    assert.ok(delivery.sid);
  });

  it('answers 404 for a session of somebody else, of another tenant, that has ended, or is made up', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const stranger = await createRelyingParty(app, tenant, { firstParty: true });
    await rp.signIn();
    const [id = ''] = await idsOf(rp);
    const other = await app.tenant();
    const refused = { code: 'session.not_found', status: 404 };

    await assert.rejects(app.services.sessions.revoke(tenant.actor, stranger.user.id, id), refused);
    await assert.rejects(app.services.sessions.revoke(other.actor, rp.user.id, id), refused);
    await assert.rejects(app.services.sessions.revoke(tenant.actor, rp.user.id, 'made up'), refused);
    assert.deepEqual(await idsOf(rp), [id]);
    await app.services.sessions.revoke(tenant.actor, rp.user.id, id);
    await assert.rejects(app.services.sessions.revoke(tenant.actor, rp.user.id, id), refused);
  });

  it('is done by one of many that try, and recorded once', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    await rp.signIn();
    const [id = ''] = await idsOf(rp);

    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => app.services.sessions.revoke(tenant.actor, rp.user.id, id)),
    );

    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await endedEvents(rp)).length, 1);
  });

  it('beats a hundred authorizations under way: none fails, and none brings the session back', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    await rp.signIn(agent);
    const [id = ''] = await idsOf(rp);

    const requests = Array.from({ length: 100 }, (_, index) => agent.get(at(index, rp.authorizationUrl())));
    await Promise.race(requests);
    await app.services.sessions.revoke(tenant.actor, rp.user.id, id);
    const pages = await Promise.all(requests);

    const codes = pages.flatMap(({ location }) =>
      location?.startsWith(REDIRECT_URI) ? (new URL(location).searchParams.get('code') ?? []) : [],
    );
    assert.deepEqual(
      pages.filter(({ status }) => status !== 303),
      [],
    );
    assert.ok(codes.length > 0 && codes.length < 100, `${codes.length} authorizations came before it`);
    const redeemed = await Promise.all(codes.slice(0, 20).map((code) => rp.redeem(code)));
    assert.deepEqual(new Set(redeemed.map(({ body }) => body.error)), new Set(['invalid_grant']));
    assert.equal(await isSignedIn(rp, agent), false);
    assert.deepEqual(await idsOf(rp), []);
  });

  it('also beats another proof of identity, which gives the session a new id', async () => {
    for (let round = 0; round < 5; round += 1) {
      const rp = await createRelyingParty(app, tenant, { firstParty: true });
      const agent = createUserAgent();
      await rp.signIn(agent);
      const [id = ''] = await idsOf(rp);
      const url = rp.authorizationUrl({ prompt: 'login', response_mode: 'form_post' });
      const form = await agent.follow(await agent.get(url), tenant.issuer);
      const { location = '' } = await agent.submit(form, '/password', {
        password: 'correct horse battery staple',
      });

      const [resumed] = await Promise.all([
        agent.get(location),
        app.services.sessions.revoke(tenant.actor, rp.user.id, id),
      ]);

      assert.ok(resumed.status < 500, resumed.body);
      const row = await app.db('user_sessions').where({ id }).first();
      const live = await app
        .db('oidc_models')
        .where({ tenant_id: tenant.tenant.id, model: 'Session', session_uid: row.session_uid })
        .whereNull('dead_at');
      assert.equal(row.end_reason, 'revoked');
      assert.deepEqual(live, []);
    }
  });
});
