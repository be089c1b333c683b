import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { startReplicas } from '../support/replicas.ts';
import type { Replica } from '../support/replicas.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { UserAgent } from '../support/user-agent.ts';

const RESOURCE = 'https://api.example/';

/** What a user is not given any more, at once and on every replica, and never with a 500. */
describe('an account that is closed, over two server processes', function () {
  this.timeout(60_000);
  let app: TestApp;
  let tenant: TestTenant;
  let replicas: Replica[];
  let rp: RelyingParty;
  let agent: UserAgent;
  let opaque: string;
  let jwt: string;
  let refreshToken: string;

  before(async () => {
    app = await startTestApp();
    replicas = await startReplicas(2, app.url);
  });
  after(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
    await app.close();
  });
  beforeEach(async () => {
    tenant = await app.tenant();
    await app.services.resources.create(tenant.actor, {
      identifier: RESOURCE,
      scopes: [{ name: 'read' }],
      accessTokenFormat: 'jwt',
    });
    rp = await createRelyingParty(app, tenant);
    await app.registry.refresh();
    agent = createUserAgent();
    opaque = (await tokens({ scope: 'openid' })).access_token ?? '';
    const more = await tokens({
      scope: 'openid read offline_access',
      resource: RESOURCE,
      prompt: 'consent',
    });
    jwt = more.access_token ?? '';
    refreshToken = more.refresh_token ?? '';
    assert.equal(jwt.split('.').length, 3);
    assert.ok(refreshToken);
  });

  async function tokens(params: Record<string, string>) {
    const { code = '' } = await rp.signIn(agent, params);
    return (await rp.redeem(code, params['resource'] ? { resource: RESOURCE } : {})).body;
  }

  const on = ({ url }: Replica) => tenant.issuer.replace(app.url, url);

  /** Every way in, on one replica: what it says of somebody who has access, and of somebody who has none. */
  const PATHS: Record<string, (replica: Replica) => Promise<string>> = {
    async 'authorization with a live session'(replica) {
      const { pathname, search } = new URL(rp.authorizationUrl({ prompt: 'none' }));
      const { status, location } = await agent.get(`${replica.url}${pathname}${search}`);
      assert.ok(status < 500, String(status));
      return new URL(location ?? '').searchParams.has('code') ? 'open' : 'closed';
    },
    async userinfo(replica) {
      const { status } = await fetch(`${on(replica)}/userinfo`, {
        headers: { authorization: `Bearer ${opaque}` },
      });
      return { 200: 'open', 401: 'closed' }[status] ?? String(status);
    },
    'introspection of an opaque token': (replica) => introspect(replica, opaque),
    'introspection of a JWT': (replica) => introspect(replica, jwt),
    'introspection of a refresh token': (replica) => introspect(replica, refreshToken),
  };

  async function introspect(replica: Replica, token: string): Promise<string> {
    const { status, body } = await rp.call('/introspect', { token }, { baseUrl: on(replica) });
    assert.equal(status, 200);
    return body['active'] === true ? 'open' : 'closed';
  }

  async function answers(): Promise<Record<string, string[]>> {
    const entries = Object.entries(PATHS).map(async ([name, ask]) => [
      name,
      await Promise.all(replicas.map(ask)),
    ]);
    return Object.fromEntries(await Promise.all(entries));
  }

  const everywhere = (answer: string) =>
    Object.fromEntries(Object.keys(PATHS).map((name) => [name, replicas.map(() => answer)]));

  const refresh = (replica: Replica) =>
    rp.token({ grant_type: 'refresh_token', refresh_token: refreshToken }, { baseUrl: on(replica) });

  const ENDS: Record<string, () => Promise<unknown>> = {
    disabled: () => app.services.users.disable(tenant.actor, rp.user.id),
    deleted: () => app.services.users.delete(tenant.actor, rp.user.id),
    'locked by an administrator': () =>
      app.services.users.lock(tenant.actor, rp.user.id, { cause: 'administrator' }),
    async erased() {
      await app.services.users.delete(tenant.actor, rp.user.id);
      await app.services.users.erase(tenant.actor, rp.user.id);
    },
  };
  for (const [how, end] of Object.entries(ENDS)) {
    it(`is ${how}: every path refuses at once`, async () => {
      assert.deepEqual(await answers(), everywhere('open'));

      await end();

      assert.deepEqual(await answers(), everywhere('closed'));
      for (const replica of replicas) {
        const { status, body } = await refresh(replica);
        assert.deepEqual([status, body.error], [400, 'invalid_grant']);
      }
    });
  }

  it('is enabled again: what had ended stays ended', async () => {
    await app.services.users.disable(tenant.actor, rp.user.id);
    await app.services.users.enable(tenant.actor, rp.user.id);

    assert.deepEqual(await answers(), everywhere('closed'));
    assert.ok((await rp.signIn(createUserAgent()))['code']);
  });

  it('is locked by somebody who guesses: whoever is signed in notices nothing', async () => {
    await app.services.users.lock({ ...tenant.actor, type: 'anonymous' }, rp.user.id, {
      cause: 'guessing',
      seconds: 60,
    });

    assert.deepEqual(await answers(), everywhere('open'));
    const [first] = replicas;
    assert.ok(first);
    assert.equal((await refresh(first)).status, 200);
  });
});
