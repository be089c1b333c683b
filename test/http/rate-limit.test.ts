import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { endpointDescription } from '../../src/http/endpoint.ts';
import { AUTHENTICATED_ENDPOINTS, ROUTES } from '../../src/oidc/configuration/features.ts';
import { requestLimits } from '../../src/oidc/request-limits.ts';
import { createApiWorld } from '../management-api/api-world.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createDpopKey } from '../support/dpop.ts';
import { assertionFields, createAssertionKey } from '../support/assertion-key.ts';
import { collectRoutes } from '../support/routes.ts';
import type { Route } from '../support/routes.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

const LIMIT = 5;
/** Of clients, which are tested apart: they must not come before the others. */
const CLIENT_LIMIT = 3;

describe('the limits of requests', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let networks = 0;
  let ip: string;
  let routes: Route[];

  before(async () => {
    const collected = collectRoutes();
    app = await startTestApp({
      env: {
        GATEHOUSE_RATE_LIMITS: 'on',
        GATEHOUSE_RATE_LIMIT_PAGES: String(LIMIT),
        GATEHOUSE_RATE_LIMIT_FORMS: String(LIMIT),
        GATEHOUSE_RATE_LIMIT_REFUSALS: String(LIMIT),
        GATEHOUSE_RATE_LIMIT_CLIENT: String(CLIENT_LIMIT),
        GATEHOUSE_RATE_LIMIT_CLIENT_NETWORK: String(CLIENT_LIMIT),
        TRUST_PROXY: '127.0.0.0/8',
      },
    });
    routes = collected();
    tenant = await app.tenant();
  });
  const newNetwork = () => `10.0.${(networks += 1) >> 8}.${networks % 256}`;
  beforeEach(() => {
    ip = newNetwork();
  });
  after(() => app.close());

  const request = (path: string, init: RequestInit = {}, from = ip) =>
    fetch(`${tenant.issuer}${path}`, {
      redirect: 'manual',
      ...init,
      headers: { 'x-forwarded-for': from, ...(init.headers as Record<string, string>) },
    });

  /** A minute may end meanwhile, and the count begins again: once at most. */
  async function untilRefused(send: () => Promise<Response>): Promise<Response> {
    for (let index = 0; index < 3 * LIMIT; index += 1) {
      const response = await send();
      if (response.status === 429) return response;
      await response.arrayBuffer();
    }
    return assert.fail('nothing was refused');
  }

  const post = (
    path: string,
    fields: Record<string, string>,
    headers: Record<string, string> = {},
    from = ip,
  ) => request(path, { method: 'POST', body: new URLSearchParams(fields), headers }, from);

  /** As `fetch` refuses to. */
  async function rawRequest(method: string, path: string, from: string) {
    const sent = httpRequest(`${tenant.issuer}${path}`, {
      method,
      headers: { 'x-forwarded-for': from, 'content-type': 'application/x-www-form-urlencoded' },
    });
    sent.end(method === 'POST' ? 'token=x&client_id=nobody' : undefined);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    const left = /r=(\d+)/.exec(String(response.headers['ratelimit']))?.[1];
    return {
      status: response.statusCode,
      left: Number(left),
      policy: String(response.headers['ratelimit-policy']),
    };
  }

  const authorize = `/authorize?client_id=nobody&redirect_uri=${encodeURIComponent(REDIRECT_URI)}`;

  it('tell how much is left, and with a refusal when to come again', async () => {
    const first = await request(authorize);
    const refused = await untilRefused(() => request(authorize));

    const [, reset] = /^"pages";r=4;t=(\d+)$/.exec(first.headers.get('ratelimit') ?? '') ?? [];
    assert.ok(Number(reset) > 0 && Number(reset) <= 60);
    assert.equal(first.headers.get('ratelimit-policy'), `"pages";q=${LIMIT};w=60`);
    const retryAfter = Number(refused.headers.get('retry-after'));
    assert.ok(retryAfter > 0 && retryAfter <= 60);
    assert.match(refused.headers.get('ratelimit') ?? '', /^"pages";r=0;t=\d+$/);
    assert.equal(refused.headers.get('cache-control'), 'no-store');
  });

  it('refuse people with a page', async () => {
    const refused = await untilRefused(() => request(authorize, { headers: { accept: 'text/html' } }));

    assert.match(refused.headers.get('content-type') ?? '', /^text\/html/);
    assert.match(await refused.text(), /too many requests from your network/);
  });

  it('refuse apps in the format of OAuth', async () => {
    const refused = await untilRefused(() => post('/token', { grant_type: 'nonsense', client_id: 'nobody' }));

    const body = (await refused.json()) as Record<string, unknown>;
    assert.equal(body['error'], 'temporarily_unavailable');
    assert.equal(typeof body['error_description'], 'string');
  });

  it('refuse callers of an API with problem details', async () => {
    const refused = await untilRefused(() => request('/api/v1/nothing'));

    assert.match(refused.headers.get('content-type') ?? '', /^application\/problem\+json/);
    assert.equal(((await refused.json()) as { code: string }).code, 'http.too_many_requests');
  });

  /** Of the engine, whose router is its own, and what is answered before all routers. */
  const others: Route[] = [
    ...[...Object.values(ROUTES), '/authorize/x', '/logout/confirm'].flatMap((path) =>
      ['GET', 'POST', 'OPTIONS'].map((method) => ({ method, path, middleware: [] })),
    ),
    { method: 'GET', path: '/.well-known/openid-configuration', middleware: [] },
    { method: 'GET', path: '/api/docs', middleware: [] },
    { method: 'GET', path: '/api/docs/start.js', middleware: [] },
    { method: 'GET', path: '/api/v1/openapi.json', middleware: [] },
    { method: 'OPTIONS', path: '/api/v1/auth/login', middleware: [] },
    { method: 'OPTIONS', path: '/api/v1/users', middleware: [] },
    { method: 'GET', path: '/%zz', middleware: [] },
    { method: 'TRACE', path: '/authorize', middleware: [] },
    { method: 'GET', path: '/nothing-here', middleware: [] },
  ];

  it('count every request where credentials are not asked for, whichever way it is written', () => {
    const limitOf = requestLimits({ pages: LIMIT, forms: LIMIT, refusals: LIMIT });
    const isPublic = ({ method, path, middleware }: Route) => {
      if (method !== 'OPTIONS' && AUTHENTICATED_ENDPOINTS.has(path)) return false;
      const description = middleware.map(endpointDescription).find((one) => one !== undefined);
      return description === undefined || description.permission === 'public';
    };
    const open = [...routes, ...others].filter(isPublic);

    // As routers read them; the API's prefix is looked for as it stands.
    const spellings = open.flatMap(({ method, path }) =>
      [
        path,
        `/t/some-tenant${path}`,
        ...(routes.some((route) => route.path === path)
          ? [`${path}/`, path.toUpperCase().replace(/^\/API\/V1/, '/api/v1')]
          : []),
      ].map((one) => `${method} ${one}`),
    );
    const isFree = (request: string) => {
      const [method = '', path = ''] = request.split(' ');
      return limitOf(method, path).counts !== 'all';
    };

    assert.deepEqual(spellings.filter(isFree), []);
    assert.ok(open.filter(({ path }) => path.startsWith('/api/v1/')).length >= 7);
    assert.ok(routes.length >= 100, `only ${routes.length} routes were found`);
  });

  it('hold at every route for those without credentials', async () => {
    const unlimited: string[] = [];
    await Promise.all(
      [...routes, ...others].map(async ({ method, path }) => {
        const from = newNetwork();
        const target = path.replaceAll(/:\w+/g, 'x').replace(/^\/t\/x\//, '/');
        for (let index = 0; index < 3 * LIMIT; index += 1) {
          const { status, left, policy } = await rawRequest(method, target, from);
          if (status === 429) return;
          // Too many to be sent here.
          if (policy.startsWith('"documents"') && left === 6000 - 2) return;
        }
        unlimited.push(`${method} ${path}`);
      }),
    );

    assert.deepEqual(unlimited, []);
  });

  it('count the addresses of an IPv6 /64 as one, and those of others apart', async () => {
    let host = 0;
    const prefix = `2001:db8:0:${networks}`;

    await untilRefused(() => request(authorize, {}, `${prefix}::${(host += 1)}`));

    assert.notEqual((await request(authorize, {}, `2001:db8:1:${networks}::1`)).status, 429);
  });

  it('do not count health probes', async () => {
    await untilRefused(() => request(authorize));

    const response = await fetch(`${app.url}/livez`, { headers: { 'x-forwarded-for': ip } });

    assert.equal(response.status, 200);
    assert.equal(response.headers.get('ratelimit'), null);
  });

  describe('for apps without credentials', () => {
    let spa: RelyingParty;

    beforeEach(async () => {
      spa = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
    });

    for (const path of ['/introspect', '/revoke']) {
      it(`count what is answered with success at ${path}`, async () => {
        const answers: number[] = [];
        await untilRefused(async () => {
          const response = await post(path, { token: 'unknown', client_id: spa.clientId });
          answers.push(response.status);
          return response;
        });

        assert.equal(answers[0], 200);
      });
    }

    it('count tokens that are given at /token', async () => {
      const { code = '' } = await spa.signIn();
      let { body } = await spa.redeem(code);
      const refresh = async () => {
        const fields = {
          grant_type: 'refresh_token',
          refresh_token: String(body.refresh_token),
          client_id: spa.clientId,
        };
        const response = await post('/token', fields);
        if (response.status !== 429) body = (await response.clone().json()) as typeof body;
        return response;
      };

      const refused = await untilRefused(refresh);

      assert.match(refused.headers.get('ratelimit-policy') ?? '', /^"refusals"/);
    });

    it('count a refusal that the protocol itself asks for as any answer, and not at the app', async () => {
      const strict = await createRelyingParty(app, tenant, {
        metadata: { token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true },
      });
      const key = await createDpopKey();
      const errors: unknown[] = [];

      const refused = await untilRefused(async () => {
        const dpop = await key.proof('POST', `${tenant.issuer}/token`);
        const fields = { grant_type: 'refresh_token', refresh_token: 'x', client_id: strict.clientId };
        const response = await post('/token', fields, { dpop });
        const { error } = (await response.clone().json()) as { error: string };
        errors.push(error);
        return response;
      });

      assert.match(refused.headers.get('ratelimit') ?? '', /^"refusals";r=0/);
      assert.deepEqual(new Set(errors.slice(0, CLIENT_LIMIT + 1)), new Set(['use_dpop_nonce']));
    });

    it('never call a refresh token of the API invalid for being refused too often', async () => {
      const world = await createApiWorld(app);
      const codes: unknown[] = [];
      let left = '';

      while (codes.at(-1) !== 'http.too_many_requests' && codes.length < 3 * LIMIT) {
        const answer = await world.call('POST', '/auth/refresh', {
          body: { refresh_token: 'x' },
          headers: { 'x-forwarded-for': ip },
        });
        codes.push(answer.body.code);
        left = answer.headers.get('ratelimit') ?? '';
      }

      assert.deepEqual(new Set(codes), new Set(['auth.invalid_grant', 'http.too_many_requests']));
      // It was the app's limit, not that of the network.
      assert.match(left, /^"refusals";r=[1-9]/);
    });

    const refusedIn: [where: string, send: (clientId: string, from: string) => Promise<Response>][] = [
      [
        '/token',
        (clientId, from) =>
          post('/token', { grant_type: 'refresh_token', refresh_token: 'x', client_id: clientId }, {}, from),
      ],
      ['/par', (clientId, from) => post('/par', { client_id: clientId, response_type: 'x' }, {}, from)],
      [
        '/authorize',
        (clientId, from) => request(`/authorize?client_id=${clientId}&redirect_uri=x`, {}, from),
      ],
    ];
    for (const [where, send] of refusedIn) {
      it(`refuse one app of a network that was refused too often at ${where}, and neither others nor elsewhere`, async () => {
        const other = await createRelyingParty(app, tenant, {
          metadata: { token_endpoint_auth_method: 'none' },
        });

        const refused = await untilRefused(() => send(spa.clientId, ip));

        assert.ok(Number(refused.headers.get('retry-after')) > 0);
        assert.doesNotMatch(refused.headers.get('ratelimit') ?? '', /r=0/);
        assert.equal((await send(other.clientId, ip)).status, 400);
        assert.equal((await send(spa.clientId, newNetwork())).status, 400);
      });
    }
  });

  describe('for apps that authenticate', () => {
    let rp: RelyingParty;

    beforeEach(async () => {
      rp = await createRelyingParty(app, tenant, {
        metadata: { grant_types: ['authorization_code', 'client_credentials'] },
      });
    });

    const token = (secret = rp.clientSecret, from = ip) =>
      post(
        '/token',
        { grant_type: 'client_credentials' },
        { authorization: `Basic ${btoa(`${rp.clientId}:${secret}`)}` },
        from,
      );

    it('do not count what succeeds', async () => {
      for (let index = 0; index < 4 * LIMIT; index += 1) assert.equal((await token()).status, 200);
    });

    it('refuse wrong secrets of one client from many networks, and not the client itself where it is known', async () => {
      assert.equal((await token()).status, 200);
      let attacker = 0;

      const refused = await untilRefused(() => token('a guess', `198.51.100.${(attacker += 1)}`));

      assert.equal(((await refused.json()) as { error: string }).error, 'temporarily_unavailable');
      assert.ok(Number(refused.headers.get('retry-after')) > 0);
      assert.equal((await token()).status, 200);
    });

    it('refuse wrong assertions of one client from many networks, and not the client itself where it is known', async () => {
      const [key, wrongKey] = await Promise.all([createAssertionKey(), createAssertionKey()]);
      const { client } = await app.services.clients.create(tenant.actor, {
        name: 'Signing service',
        metadata: {
          grant_types: ['client_credentials'],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [key.publicJwk] },
        },
      });
      const prove = async (by: typeof key, from: string, headers = {}) => {
        const assertion = assertionFields(await by.assertion(client.clientId, tenant.issuer));
        return post('/token', { grant_type: 'client_credentials', ...assertion }, headers, from);
      };
      assert.equal((await prove(key, ip)).status, 200);
      const attacker = newNetwork();
      // Refused before the proof, for the sake of the origin: nobody is known by that.
      assert.equal((await prove(wrongKey, attacker, { origin: 'https://elsewhere.example' })).status, 400);

      const refused = await untilRefused(() => prove(wrongKey, attacker));

      assert.ok(Number(refused.headers.get('retry-after')) > 0);
      assert.equal((await prove(key, newNetwork())).status, 429);
      assert.equal((await prove(key, ip)).status, 200);
    });
  });
});
