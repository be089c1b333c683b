import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TenantProvider } from '../../src/oidc/provider-registry.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createDpopKey } from '../support/dpop.ts';
import { rawRequest } from '../support/raw-request.ts';
import type { RawResponse } from '../support/raw-request.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { signOut } from '../support/sign-out.ts';
import { basicAuth, createMachine, tokensOf } from '../support/token-sets.ts';
import type { Machine } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

const API = 'https://api.example/';
const OPAQUE_API = 'https://opaque.example/';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
/** Of each answer its own. */
const VARYING = new Set(['x-request-id', 'date']);

interface Asked {
  path: '/userinfo' | '/introspect';
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  agent?: Agent;
}

describe('direct answers', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  let api: Machine;
  let provider: TenantProvider;
  /** Whatever the engine was asked. */
  let engineCalls: number;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    api = await createMachine(app, tenant);
    await app.services.resources.create(tenant.actor, {
      identifier: API,
      scopes: [{ name: 'read' }],
      introspectionClientIds: [api.clientId],
    });
    await app.services.resources.create(tenant.actor, {
      identifier: OPAQUE_API,
      scopes: [{ name: 'read' }],
      accessTokenFormat: 'opaque',
      introspectionClientIds: [api.clientId],
    });
    rp = await createRelyingParty(app, tenant);
    const profile = { name: 'Ada Lovelace', given_name: 'Ada', locale: 'en', phone_number: '+49 30 1' };
    await app.services.users.update(tenant.actor, rp.user.id, { claims: profile });

    provider = (await app.registry.get(tenant.tenant.slug)) ?? assert.fail('no provider');
    const { handle } = provider;
    provider.handle = (req, res) => {
      engineCalls += 1;
      return handle(req, res);
    };
  });
  beforeEach(() => {
    engineCalls = 0;
  });
  after(() => app.close());

  /** Whoever sends a query is answered by the engine. */
  const ask = ({ path, ...request }: Asked, query = '') =>
    rawRequest(app.url, `/t/${tenant.tenant.slug}${path}${query}`, request);

  /** @returns the answer, after it was found to be the engine's to the byte */
  async function sameAsEngine(asked: Asked): Promise<RawResponse> {
    const engines = await ask(asked, '?');
    engineCalls = 0;
    const direct = await ask(asked);
    const lasting = ({ status, headers, text: body }: RawResponse) => ({
      status,
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !VARYING.has(name))),
      body,
    });
    assert.deepEqual(lasting(direct), lasting(engines));
    return direct;
  }

  const userinfo = (token: string, headers: Record<string, string> = {}): Asked => ({
    path: '/userinfo',
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  const introspection = (
    token: string,
    { clientId, secret = '' }: { clientId: string; secret: string | undefined },
    fields: Record<string, string> = {},
  ): Asked => ({
    path: '/introspect',
    method: 'POST',
    headers: { ...FORM, authorization: basicAuth(clientId, secret) },
    body: new URLSearchParams({ token, ...fields }).toString(),
  });
  const own = () => ({ clientId: rp.clientId, secret: rp.clientSecret });

  describe('userinfo', () => {
    for (const scope of ['openid', 'openid email', 'openid profile phone email address']) {
      it(`says what the engine says: ${scope}`, async () => {
        const { access_token: token } = await tokensOf(rp, { authorize: { scope } });

        const { status, text: body } = await sameAsEngine(userinfo(token));

        assert.equal(status, 200);
        assert.equal(JSON.parse(body).sub, rp.user.id);
        assert.equal(engineCalls, 0);
      });
    }

    it('leaves out what the grant rejects', async () => {
      const { access_token: token } = await tokensOf(rp, { authorize: { scope: 'openid profile email' } });
      await app.db.raw(
        `UPDATE oidc_models SET payload = jsonb_set(payload, '{rejected}', '{"openid": {"scope": "email", "claims": ["name"]}}')
          WHERE model = 'Grant' AND tenant_id = ? AND account_id = ?`,
        [tenant.tenant.id, rp.user.id],
      );

      const { text: body } = await sameAsEngine(userinfo(token));

      const claims = JSON.parse(body);
      assert.deepEqual([claims.name, claims.given_name, claims.email], [undefined, 'Ada', undefined]);
      assert.equal(engineCalls, 0);
    });

    const plain = async () => (await tokensOf(rp, { authorize: { scope: 'openid email' } })).access_token;
    const others: [name: string, status: number, asked: () => Promise<Asked>][] = [
      [
        'single claims',
        200,
        async () => {
          const claims = JSON.stringify({ userinfo: { given_name: null } });
          return userinfo((await tokensOf(rp, { authorize: { scope: 'openid', claims } })).access_token);
        },
      ],
      ['another origin', 200, async () => userinfo(await plain(), { origin: 'https://app.example' })],
      [
        'a scheme in lower case',
        200,
        async () => ({
          path: '/userinfo',
          headers: { authorization: `bearer ${await plain()}` },
        }),
      ],
      ['a posted question', 200, async () => ({ ...userinfo(await plain()), method: 'POST' })],
      ['a proof of possession', 400, async () => userinfo(await plain(), { dpop: 'none' })],
      ['a token bound to a key', 401, async () => userinfo(await boundToken({ scope: 'openid' }))],
      ['a token for an API', 403, async () => userinfo(await tokenFor(OPAQUE_API))],
      ['a JWT', 401, async () => userinfo(await tokenFor(API))],
      ['a token without openid', 401, async () => userinfo(await serviceToken())],
      ['an unknown token', 401, async () => userinfo(`at_${'a'.repeat(43)}`)],
      ['a refresh token', 401, async () => userinfo((await tokensOf(rp)).refresh_token)],
      [
        'an expired token',
        401,
        async () => {
          const token = await plain();
          await expire();
          return userinfo(token);
        },
      ],
      [
        'a grant that has expired',
        401,
        async () => {
          const token = await plain();
          await expire('Grant');
          return userinfo(token);
        },
      ],
      [
        'a session that has ended',
        401,
        async () => {
          const agent = createUserAgent();
          const { access_token: token } = await tokensOf(rp, { agent });
          await signOut(agent, tenant.issuer);
          return userinfo(token);
        },
      ],
      [
        'a person who was disabled',
        401,
        async () => {
          const other = await createRelyingParty(app, tenant);
          const { access_token: token } = await tokensOf(other);
          await app.services.users.disable(tenant.actor, other.user.id);
          return userinfo(token);
        },
      ],
      [
        'a client that was disabled',
        401,
        async () => {
          const other = await createRelyingParty(app, tenant);
          const { access_token: token } = await tokensOf(other);
          await app.services.clients.disable(tenant.actor, other.clientId);
          await app.registry.refresh();
          return userinfo(token);
        },
      ],
    ];
    for (const [name, status, asked] of others) {
      it(`leaves to the engine: ${name}`, async () => {
        const { status: answered } = await sameAsEngine(await asked());

        assert.equal(answered, status);
        assert.equal(engineCalls, 1);
      });
    }

    it('leaves to the engine: what fails here for whatever reason', async () => {
      const token = await plain();
      engineCalls = 0;
      const { Claims } = provider.provider;
      const failing = () => {
        Object.defineProperty(provider.provider, 'Claims', { value: Claims });
        throw new TypeError('a mistake');
      };
      Object.defineProperty(provider.provider, 'Claims', { get: failing, configurable: true });

      const { status } = await ask(userinfo(token));

      assert.deepEqual([status, engineCalls], [200, 1]);
    });

    it('leaves to the engine: a client that wants it signed', async () => {
      const signed = await createRelyingParty(app, tenant);
      const { access_token: token } = await tokensOf(signed);
      // What no client can be registered with yet.
      const client = await provider.provider.Client.find(signed.clientId);
      Object.assign(client ?? {}, { userinfoSignedResponseAlg: 'ES256' });
      engineCalls = 0;

      const { headers } = await ask(userinfo(token));

      assert.equal(headers['content-type'], 'application/jwt; charset=utf-8');
      assert.equal(engineCalls, 1);
    });
  });

  describe('introspection', () => {
    const directly: [name: string, asked: () => Promise<Asked>][] = [
      ['an opaque token', async () => introspection((await tokensOf(rp)).access_token, own())],
      ['a JWT', async () => introspection(await tokenFor(API), own())],
      ['a JWT, for its API', async () => introspection(await tokenFor(API), api)],
      ['an opaque token, for its API', async () => introspection(await tokenFor(OPAQUE_API), api)],
      ['an opaque token of a service', async () => introspection(await serviceToken(), api)],
      ['a token bound to a key', async () => introspection(await boundToken({ scope: 'openid' }), own())],
      [
        'a token with a hint',
        async () =>
          introspection((await tokensOf(rp)).access_token, own(), { token_type_hint: 'refresh_token' }),
      ],
    ];
    for (const [name, asked] of directly) {
      it(`says what the engine says: ${name}`, async () => {
        const { status, text: body } = await sameAsEngine(await asked());

        assert.deepEqual([status, JSON.parse(body).active], [200, true]);
        assert.equal(engineCalls, 0);
      });
    }

    const plain = async () => (await tokensOf(rp)).access_token;
    const others: [name: string, status: number, asked: () => Promise<Asked>][] = [
      ['a wrong secret', 401, async () => introspection(await plain(), { ...own(), secret: 'wrong' })],
      [
        'an unknown client',
        401,
        async () => introspection(await plain(), { clientId: 'nobody', secret: 'a' }),
      ],
      ['a refresh token', 200, async () => introspection((await tokensOf(rp)).refresh_token, own())],
      ['a token of somebody else', 200, async () => introspection(await plain(), api)],
      ['an unknown token', 200, async () => introspection('at_nothing', own())],
      ['a JWT of nobody', 200, async () => introspection('e30.e30.e30', own())],
      ['nothing at all', 400, async () => ({ ...introspection('', own()), body: '' })],
      ['a token that is empty', 400, async () => introspection('', own())],
      ['two tokens', 400, async () => ({ ...introspection('', own()), body: 'token=at_a&token=at_b' })],
      ['a NUL', 200, async () => introspection('at_\0', own())],
      [
        'a second way to prove oneself',
        400,
        async () => introspection(await plain(), own(), { client_secret: 'wrong' }),
      ],
      [
        'a client that is named twice',
        400,
        async () => introspection(await plain(), own(), { client_id: 'other' }),
      ],
      [
        'a secret in the body',
        200,
        async () => {
          const token = await plain();
          const { clientId, secret = '' } = own();
          const { authorization: _, ...headers } = introspection(token, own()).headers ?? {};
          const body = new URLSearchParams({ token, client_id: clientId, client_secret: secret });
          return { path: '/introspect', method: 'POST', headers, body: body.toString() };
        },
      ],
      [
        'credentials that are not quite base64',
        400,
        async () => {
          const asked = introspection(await plain(), own());
          const { authorization = '' } = asked.headers ?? {};
          return { ...asked, headers: { ...asked.headers, authorization: `${authorization}=` } };
        },
      ],
      [
        'a body that is no form',
        400,
        async () => {
          const asked = introspection(await plain(), own());
          return { ...asked, headers: { ...asked.headers, 'content-type': 'text/plain' } };
        },
      ],
      [
        'an expired token',
        200,
        async () => {
          const token = await plain();
          await expire();
          return introspection(token, own());
        },
      ],
      [
        'a grant that has expired',
        200,
        async () => {
          const token = await plain();
          await expire('Grant');
          return introspection(token, own());
        },
      ],
      [
        'a revoked JWT',
        200,
        async () => {
          const token = await tokenFor(API);
          await rp.call('/revoke', { token });
          return introspection(token, own());
        },
      ],
    ];
    for (const [name, status, asked] of others) {
      it(`leaves to the engine: ${name}`, async () => {
        const { status: answered } = await sameAsEngine(await asked());

        assert.equal(answered, status);
        assert.equal(engineCalls, 1);
      });
    }

    it('leaves a body that comes later to the engine, whole', async () => {
      const { headers = {}, body = '' } = introspection(await plain(), own());
      const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
      await once(socket, 'connect');
      const head = Object.entries({ host: new URL(app.url).host, connection: 'close', ...headers });
      socket.write(
        `POST /t/${tenant.tenant.slug}/introspect HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}content-length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
      );
      while (engineCalls === 0) await new Promise((resolve) => setImmediate(resolve));
      socket.write(body.slice(10));

      assert.match(await text(socket), /^HTTP\/1\.1 200 OK\r\n[^]*"active":true/);
    });

    it('answers many on connections that stay open, whoever answers them', async () => {
      const token = await plain();
      engineCalls = 0;
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const answers: unknown[] = [];
      for (const asked of [token, 'at_nothing', token, 'at_nothing', token]) {
        const { text: body } = await ask({ ...introspection(asked, own()), agent });
        answers.push(JSON.parse(body).active);
      }
      agent.destroy();

      assert.deepEqual(answers, [true, false, true, false, true]);
      assert.equal(engineCalls, 2);
    });
  });

  async function tokenFor(resource: string): Promise<string> {
    return (await tokensOf(rp, { authorize: { scope: 'openid read', resource } })).access_token;
  }

  async function serviceToken(): Promise<string> {
    return (await api.token({ resource: OPAQUE_API })).body.access_token ?? assert.fail('no token');
  }

  async function boundToken(authorize: Record<string, string>): Promise<string> {
    const key = await createDpopKey();
    const { code = '' } = await rp.signIn(createUserAgent(), authorize);
    const proof = await key.proof('POST', `${tenant.issuer}/token`);
    const { body } = await rp.redeem(code, {}, { dpop: proof });
    return body.access_token ?? assert.fail(JSON.stringify(body));
  }

  /** More than the clocks of servers may differ. */
  async function expire(model: 'AccessToken' | 'Grant' = 'AccessToken'): Promise<void> {
    await app.db.raw(
      `UPDATE oidc_models SET payload = jsonb_set(payload, '{exp}', to_jsonb(?::int))
        WHERE tenant_id = ? AND model = ? AND client_id = ?`,
      [Math.floor(Date.now() / 1000) - 60, tenant.tenant.id, model, rp.clientId],
    );
  }
});
