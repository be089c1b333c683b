import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { signOut } from '../support/sign-out.ts';
import { createMachine, introspect, isActive, tokensOf } from '../support/token-sets.ts';
import type { Machine, TokenSet } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

const API = 'https://api.example/';
const OTHER_API = 'https://other.example/';
const OPAQUE_API = 'https://opaque.example/';
const INACTIVE = { active: false };

describe('introspection (RFC 7662)', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  /** The API's own client: it may look at tokens made for it. */
  let api: Machine;
  let stranger: Machine;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    api = await createMachine(app, tenant);
    stranger = await createMachine(app, tenant);
    for (const [identifier, fields] of Object.entries({
      [API]: { introspectionClientIds: [api.clientId] },
      [OTHER_API]: {},
      [OPAQUE_API]: { introspectionClientIds: [api.clientId], accessTokenFormat: 'opaque' },
    })) {
      await app.services.resources.create(tenant.actor, {
        identifier,
        scopes: [{ name: 'read' }],
        ...fields,
      });
    }
    rp = await createRelyingParty(app, tenant);
  });
  after(() => app.close());

  const forApi = (resource: string, from = rp, agent = createUserAgent()) =>
    tokensOf(from, { agent, authorize: { scope: 'openid read', resource } });

  it('shows a client its opaque token', async () => {
    const { access_token: token } = await tokensOf(rp, { authorize: { scope: 'openid email' } });

    const { exp, iat, ...rest } = await introspect(rp, token);

    assert.deepEqual(rest, {
      active: true,
      sub: rp.user.id,
      client_id: rp.clientId,
      iss: tenant.issuer,
      scope: 'openid email',
      tenant_id: tenant.tenant.id,
      roles: [],
      token_type: 'Bearer',
    });
    assert.equal(Number(exp) - Number(iat), 600);
  });

  it('shows a client its refresh token', async () => {
    const { refresh_token: token } = await tokensOf(rp);

    const { active, sub, client_id: clientId, token_type: type } = await introspect(rp, token);

    assert.deepEqual([active, sub, clientId, type], [true, rp.user.id, rp.clientId, undefined]);
  });

  it('shows a client its JWT as the JWT says it, less what is internal', async () => {
    const { access_token: token } = await forApi(API);

    const shown = await introspect(rp, token);

    const { grant_id: grantId, session_bound: isSessionBound, ...claims } = decodeJwt(token);
    assert.ok(grantId);
    assert.equal(isSessionBound, true);
    assert.deepEqual(shown, { active: true, ...claims, token_type: 'Bearer' });
  });

  for (const hint of ['access_token', 'refresh_token', 'unknown']) {
    it(`finds a token whatever the hint says: ${hint}`, async () => {
      const tokens = await tokensOf(rp);
      const jwt = await forApi(API);

      for (const token of [tokens.access_token, tokens.refresh_token, jwt.access_token]) {
        const { body } = await rp.call('/introspect', { token, token_type_hint: hint });
        assert.equal(body['active'], true);
      }
    });
  }

  it('shows an API the tokens that were made for it', async () => {
    const [jwt, opaque] = [await forApi(API), await forApi(OPAQUE_API)];

    assert.equal((await introspect(api, jwt.access_token))['aud'], API);
    assert.equal((await introspect(api, opaque.access_token))['aud'], OPAQUE_API);
  });

  it('shows an API no token for another one, none without audience and no refresh token', async () => {
    const [jwt, other, plain] = [await forApi(API), await forApi(OTHER_API), await tokensOf(rp)];

    for (const token of [
      other.access_token,
      plain.access_token,
      plain.refresh_token,
      jwt.refresh_token,
      jwt.id_token,
    ])
      assert.deepEqual(await introspect(api, token), INACTIVE);
  });

  it('shows a foreign client nothing', async () => {
    const [jwt, opaque, plain] = [await forApi(API), await forApi(OPAQUE_API), await tokensOf(rp)];
    const spa = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });

    for (const token of [jwt, opaque, plain].flatMap((set) => [set.access_token, set.refresh_token])) {
      assert.deepEqual(await introspect(stranger, token), INACTIVE);
      assert.deepEqual(await introspect(spa, token), INACTIVE);
    }
  });

  for (const [what, token] of Object.entries<(set: TokenSet) => string | Promise<string>>({
    'an ID token': (set) => set.id_token,
    'a code': async () => (await rp.signIn()).code ?? '',
    'a shortened token': (set) => set.access_token.slice(0, -1),
    'a token with something behind': (set) => `${set.access_token}a`,
    'a token in another case': (set) => set.access_token.replace(/^at_/, 'AT_'),
    'a token with another prefix': (set) => set.access_token.replace(/^at_/, 'rt_'),
    'a token without its prefix': (set) => set.access_token.replace(/^at_/, ''),
    'something else': () => 'a'.repeat(3000),
    'a row id': () => '00000000-0000-0000-0000-000000000000',
  })) {
    it(`knows nothing of ${what}`, async () => {
      assert.deepEqual(await introspect(rp, await token(await tokensOf(rp))), INACTIVE);
    });
  }

  it('needs a token', async () => {
    const { status, body } = await rp.call('/introspect', {});

    assert.deepEqual([status, body.error], [400, 'invalid_request']);
  });

  describe('ends', () => {
    /** One of each kind, and who asks about it. */
    async function everything() {
      const own = await createRelyingParty(app, tenant);
      const agent = createUserAgent();
      const plain = await tokensOf(own, { agent });
      const jwt = await forApi(API, own, agent);
      const opaque = await forApi(OPAQUE_API, own, agent);
      const asked: [Pick<RelyingParty, 'call'>, string][] = [
        [own, plain.access_token],
        [own, plain.refresh_token],
        [own, jwt.access_token],
        [api, jwt.access_token],
        [api, opaque.access_token],
      ];
      return { own, agent, jwt, opaque, states: () => Promise.all(asked.map((each) => isActive(...each))) };
    }

    it('with the session', async () => {
      const { agent, states } = await everything();

      const before = await states();
      await signOut(agent, tenant.issuer);

      assert.deepEqual(before, [true, true, true, true, true]);
      assert.deepEqual(await states(), [false, false, false, false, false]);
    });

    for (const action of ['disable', 'delete'] as const) {
      it(`with the user: ${action}`, async () => {
        const { own, states } = await everything();

        const before = await states();
        await app.services.users[action](tenant.actor, own.user.id);

        assert.deepEqual(before, [true, true, true, true, true]);
        assert.deepEqual(await states(), [false, false, false, false, false]);
      });

      it(`with the client, for those who ask about its tokens: ${action}`, async () => {
        const { own, jwt, opaque } = await everything();

        await app.services.clients[action](tenant.actor, own.clientId);
        await app.registry.refresh();

        assert.deepEqual(await introspect(api, jwt.access_token), INACTIVE);
        assert.deepEqual(await introspect(api, opaque.access_token), INACTIVE);
      });

      it(`with a client that has no people: ${action}`, async () => {
        const machine = await createMachine(app, tenant);
        const tokens = await Promise.all(
          [API, OPAQUE_API].map(
            async (resource) => (await machine.token({ resource })).body.access_token ?? '',
          ),
        );
        const states = () => Promise.all(tokens.map((token) => isActive(api, token)));

        const before = await states();
        await app.services.clients[action](tenant.actor, machine.clientId);
        await app.registry.refresh();

        assert.deepEqual(before, [true, true]);
        assert.deepEqual(await states(), [false, false]);
      });
    }

    it('with the time of an opaque token', async () => {
      const { access_token: token } = await tokensOf(rp);
      await app.db.raw(
        `UPDATE oidc_models SET payload = jsonb_set(payload, '{exp}', to_jsonb(?::int))
          WHERE tenant_id = ? AND model = 'AccessToken' AND client_id = ?`,
        [Math.floor(Date.now() / 1000) - 1, tenant.tenant.id, rp.clientId],
      );

      assert.deepEqual(await introspect(rp, token), INACTIVE);
    });

    it('with the use of a refresh token', async () => {
      const { refresh_token: token } = await tokensOf(rp);
      await rp.refresh(token);

      assert.deepEqual(await introspect(rp, token), INACTIVE);
    });
  });
});
