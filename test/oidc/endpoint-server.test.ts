import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRateLimiter } from '../../src/http/rate-limiter.ts';
import { createEndpointServer } from '../../src/oidc/endpoint-server.ts';
import { memoryLog } from '../http/support.ts';
import type { MemoryLog } from '../http/support.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { rawRequest } from '../support/raw-request.ts';
import type { RawResponse } from '../support/raw-request.ts';
import { assertSameTraces } from './both-ways.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { basicAuth, createMachine, tokensOf } from '../support/token-sets.ts';
import type { Machine } from '../support/token-sets.ts';

const OPAQUE_API = 'https://opaque.example/';
/** Of each answer its own. */
const VARYING = new Set(['x-request-id', 'date', 'ratelimit', 'content-length']);
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

/** Without tokens, references, times and the mark. */
function withoutVarying(body: string): string {
  return body
    .replace(/"access_token":"[^"]+"/, '')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '')
    .replaceAll(/\d\d:\d\d:\d\d/g, '')
    .replaceAll('userinfo?', 'userinfo');
}

describe('the short way to the endpoints of apps', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let machine: Machine;
  let userToken: string;
  let logged: MemoryLog;
  before(async () => {
    logged = memoryLog('info');
    app = await startTestApp({
      env: { GATEHOUSE_RATE_LIMITS: 'on', GATEHOUSE_RATE_LIMIT_REFUSALS: '1000' },
      log: logged.log,
      measured: true,
    });
    tenant = await app.tenant();
    machine = await createMachine(app, tenant);
    await app.services.resources.create(tenant.actor, {
      identifier: OPAQUE_API,
      scopes: [{ name: 'read' }],
      accessTokenFormat: 'opaque',
    });
    const rp = await createRelyingParty(app, tenant);
    userToken = (await tokensOf(rp, { authorize: { scope: 'openid email' } })).access_token;
  });
  after(() => app.close());

  interface Asked {
    path: string;
    method?: string;
    headers?: Record<string, string>;
    body?: string;
  }

  /** A question mark is all it takes to be sent the long way. */
  const ask = ({ path, ...request }: Asked, mark = '') =>
    rawRequest(app.url, `/t/${tenant.tenant.slug}${path}${mark}`, request);
  const bothWays = async (asked: Asked): Promise<[long: RawResponse, short: RawResponse]> => [
    await ask(asked, '?'),
    await ask(asked),
  ];
  const post = (
    path: string,
    params: Record<string, string>,
    headers: Record<string, string> = {},
  ): Asked => ({
    path,
    method: 'POST',
    headers: { ...FORM, ...headers },
    body: new URLSearchParams(params).toString(),
  });
  const asMachine = () => ({ authorization: basicAuth(machine.clientId, machine.secret) });

  function assertSame(short: RawResponse, long: RawResponse): void {
    const lasting = ({ status, headers }: RawResponse) => ({
      status,
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !VARYING.has(name))),
    });
    assert.deepEqual(lasting(short), lasting(long));
    assert.deepEqual(Object.keys(short.headers).toSorted(), Object.keys(long.headers).toSorted());
    assert.notEqual(short.headers['x-request-id'], long.headers['x-request-id']);
    const [answered, expected] = [short, long].map(({ text }) => withoutVarying(text));
    assert.deepEqual(answered, expected);
  }

  const requests: [name: string, status: number, request: () => Asked][] = [
    [
      'a token',
      200,
      () => post('/token', { grant_type: 'client_credentials', resource: OPAQUE_API }, asMachine()),
    ],
    [
      'a wrong secret',
      401,
      () => post('/token', { grant_type: 'client_credentials' }, { authorization: 'Basic YTpi' }),
    ],
    ['no credentials', 401, () => post('/token', { grant_type: 'client_credentials' })],
    ['an unknown grant type', 400, () => post('/token', { grant_type: 'magic' }, asMachine())],
    [
      'a body that is no form',
      400,
      () => ({ path: '/token', method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'a' }),
    ],
    ['a body of nothing', 401, () => ({ path: '/token', method: 'POST' })],
    ['a token endpoint that is read', 404, () => ({ path: '/token' })],
    [
      'the claims of a person',
      200,
      () => ({ path: '/userinfo', headers: { authorization: `Bearer ${userToken}` } }),
    ],
    [
      'the claims of a person, posted for',
      200,
      () => post('/userinfo', {}, { authorization: `Bearer ${userToken}` }),
    ],
    [
      'the claims of nobody',
      401,
      () => ({ path: '/userinfo', headers: { authorization: 'Bearer at_nothing' } }),
    ],
    ['no token at all', 401, () => ({ path: '/userinfo' })],
    [
      'a browser',
      401,
      () => ({ path: '/userinfo', headers: { accept: 'text/html', authorization: 'Bearer at_nothing' } }),
    ],
    [
      'another origin',
      401,
      () => post('/token', { grant_type: 'client_credentials' }, { origin: 'https://spa.example' }),
    ],
    ['introspection', 200, () => post('/introspect', { token: userToken }, asMachine())],
    ['a revocation', 200, () => post('/revoke', { token: 'at_nothing' }, asMachine())],
    [
      'what PostgreSQL cannot store',
      400,
      () => post('/token', { grant_type: 'client_credentials', resource: 'a\0' }, asMachine()),
    ],
  ];
  for (const [name, status, request] of requests) {
    it(`answers ${name} as the long way does`, async () => {
      const [long, short] = await bothWays(request());

      assert.equal(short.status, status);
      assertSame(short, long);
    });
  }

  it('logs and measures as the long way does', async () => {
    const userAgent = 'probe/8';
    const asked = post('/token', { grant_type: 'magic' }, { ...asMachine(), 'user-agent': userAgent });

    const { counted } = await assertSameTraces(
      app,
      logged,
      { userAgent, method: 'POST', route: '/token', outcome: 'refused', status: 400 },
      () => bothWays(asked),
    );

    assert.equal(counted, 2);
  });

  it('takes the caller’s request id', async () => {
    const { headers } = await ask({ path: '/userinfo', headers: { 'x-request-id': 'Req-0123456789' } });

    assert.equal(headers['x-request-id'], 'Req-0123456789');
  });
});

describe('which requests go the short way', () => {
  const LIMIT = { name: 'refusals', perMinute: 2, counts: 'refused' } as const;
  let url: string;
  let limited: boolean;
  let stop: () => void;
  beforeEach(async () => {
    limited = false;
    const { log } = memoryLog();
    const serve = createEndpointServer({
      registry: {
        peek: (slug) =>
          slug === 'known'
            ? ({
                tenant: { settings: {} },
                context: { tenant: {} },
                handle: async (req: IncomingMessage, res: ServerResponse) => {
                  res.statusCode = 401;
                  res.end(`short ${req.url}`);
                },
              } as never)
            : undefined,
      },
      addressOf: () => '192.0.2.1',
      pinOrigin: () => '192.0.2.1',
      giveLanguage: () => ({ learn: () => {} }) as never,
      setSecurityHeaders: () => {},
      log,
      limiter: createRateLimiter({ stores: [], log }),
      limitOf: () => (limited ? LIMIT : { ...LIMIT, perMinute: 1000 }),
      withinBudget: (work) => work(),
    });
    const server = createServer((req, res) => {
      if (!serve(req, res)) res.end(`long ${req.url}`);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    stop = () => server.close();
  });
  afterEach(() => stop());

  const wayOf = async (path: string, method = 'POST') => (await rawRequest(url, path, { method })).text;

  it('those to an endpoint of a tenant that is loaded, with the tenant cut off', async () => {
    assert.equal(await wayOf('/t/known/token'), 'short /token');
    assert.equal(await wayOf('/t/known/userinfo', 'GET'), 'short /userinfo');
  });

  it('none with a query, of another method, to another path or of a tenant that is not loaded', async () => {
    for (const [path, method] of [
      ['/t/known/token?', 'POST'],
      ['/t/known/token', 'OPTIONS'],
      ['/t/known/token/', 'POST'],
      ['/t/known/authorize', 'GET'],
      ['/t/other/token', 'POST'],
      ['/token', 'POST'],
    ] as const)
      assert.equal(await wayOf(path, method), `long ${path}`);
  });

  it('none of a network that was refused too often', async () => {
    limited = true;

    const ways: string[] = [];
    for (let count = 0; count < 4; count += 1) ways.push(await wayOf('/t/known/token'));

    assert.deepEqual(ways, ['short /token', 'short /token', 'long /t/known/token', 'long /t/known/token']);
  });
});
