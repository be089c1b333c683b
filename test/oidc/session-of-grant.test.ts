import assert from 'node:assert/strict';
import { createApiWorld } from '../management-api/api-world.ts';
import type { ApiWorld } from '../management-api/api-world.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { isActive, tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { UserAgent } from '../support/user-agent.ts';

const API = 'https://api.example/sessions';

describe('the session of a grant', () => {
  let app: TestApp;
  let world: ApiWorld;
  before(async () => {
    app = await startTestApp();
    world = await createApiWorld(app);
    await app.services.resources.create(world.actor, { identifier: API, scopes: [{ name: 'read' }] });
  });
  after(() => app.close());

  const rowsOf = (model: 'Grant' | 'Session', userId: string) =>
    app.db('oidc_models').where({ tenant_id: world.tenant.id, model, account_id: userId });
  const uidsOf = (model: 'Grant' | 'Session', userId: string): Promise<(string | null)[]> =>
    rowsOf(model, userId).orderBy('session_uid').pluck('session_uid');
  const jwtOf = (rp: RelyingParty, agent?: UserAgent) =>
    tokensOf(rp, { ...(agent && { agent }), authorize: { scope: 'openid read', resource: API } });

  const ways: Record<string, () => Promise<string>> = {
    'after a consent': async () => {
      const rp = await createRelyingParty(app, world);
      await rp.signIn();
      return rp.user.id;
    },
    'of an app of the house, at the sign-in': async () => {
      const rp = await createRelyingParty(app, world, { firstParty: true });
      await rp.signIn();
      return rp.user.id;
    },
    'over the API': async () => (await world.person()).id,
  };
  for (const [way, signIn] of Object.entries(ways)) {
    it(`is named by the grant that is made ${way}`, async () => {
      const userId = await signIn();

      const sessions = await uidsOf('Session', userId);
      assert.equal(sessions.length, 1);
      assert.deepEqual(await uidsOf('Grant', userId), sessions);
    });
  }

  it('is named by each grant that is made in it, and stays when the grant is extended', async () => {
    const agent = createUserAgent();
    const rp = await createRelyingParty(app, world, { firstParty: true });
    const other = await createRelyingParty(app, world, { firstParty: true });
    await rp.signIn(agent);
    await agent.get(other.authorizationUrl());
    await rp.signIn(agent, { scope: 'openid email' });

    const [session] = await uidsOf('Session', rp.user.id);
    assert.deepEqual(await uidsOf('Grant', rp.user.id), [session, session]);
  });

  it('is found by that name alone, however many others the person has', async () => {
    const rp = await createRelyingParty(app, world, { firstParty: true });
    const { access_token: token } = await jwtOf(rp);
    const { id, token: apiToken } = await world.person();
    assert.equal(await isActive(rp, token), true);
    assert.equal((await world.call('GET', `/users/${id}`, { token: apiToken })).status, 200);

    await app.db('oidc_models').where({ model: 'Grant' }).whereIn('account_id', [rp.user.id, id]).update({
      session_uid: 'of-nobody',
    });

    assert.equal(await isActive(rp, token), false);
    assert.equal((await world.call('GET', `/users/${id}`, { token: apiToken })).status, 401);
  });

  for (const [age, make] of Object.entries<(userId: string) => Promise<unknown>>({
    'a grant': async () => {},
    'a grant of before they named theirs': (userId) => rowsOf('Grant', userId).update({ session_uid: null }),
  })) {
    it(`of ${age} decides on tokens, and is ended with it`, async () => {
      const rp = await createRelyingParty(app, world, { firstParty: true });
      const [agent, elsewhere] = [createUserAgent(), createUserAgent()];
      const jwt = await jwtOf(rp, agent);
      const kept = await jwtOf(rp, elsewhere);
      const { id, token } = await world.person();
      for (const userId of [rp.user.id, id]) await make(userId);
      assert.equal(await isActive(rp, jwt.access_token), true);
      assert.equal((await world.call('GET', `/users/${id}`, { token })).status, 200);

      const [, first] = await app.services.sessions.list(world.actor, rp.user.id);
      await app.services.sessions.revoke(world.actor, rp.user.id, first?.id ?? '');
      const signedOut = await world.call('POST', '/auth/logout', { token });

      assert.equal(await isActive(rp, jwt.access_token), false);
      assert.equal(await isActive(rp, kept.access_token), true);
      assert.ok(signedOut.status < 300);
      assert.deepEqual(await rowsOf('Session', id).whereNull('dead_at'), []);
      assert.equal((await world.call('GET', `/users/${id}`, { token })).status, 401);
    });
  }
});
