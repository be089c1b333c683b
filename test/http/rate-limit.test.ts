import assert from 'node:assert/strict';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createDpopKey } from '../support/dpop.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

const LIMIT = 5;

describe('the limits of requests', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let networks = 0;
  let ip: string;

  before(async () => {
    app = await startTestApp({
      env: {
        GATEHOUSE_RATE_LIMITS: 'on',
        GATEHOUSE_RATE_LIMIT_PAGES: String(LIMIT),
        GATEHOUSE_RATE_LIMIT_FORMS: String(LIMIT),
        GATEHOUSE_RATE_LIMIT_REFUSALS: String(LIMIT),
        GATEHOUSE_RATE_LIMIT_CLIENT: String(LIMIT),
        TRUST_PROXY: '127.0.0.0/8',
      },
    });
    tenant = await app.tenant();
  });
  beforeEach(() => {
    ip = `192.0.2.${(networks += 1)}`;
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

  const counted: [what: string, send: () => Promise<Response>][] = [
    ['authorization requests', () => request(authorize)],
    ['pushed authorization requests', () => post('/par', { client_id: 'nobody' })],
    ['sign-in pages', () => request('/interaction/nothing')],
    ['sign-in forms', () => post('/interaction/nothing/password', { password: GOOD_PASSWORD })],
    ['set-up pages', () => request('/setup')],
    ['set-up forms', () => post('/setup', { token: 'guess' })],
    ['sign-outs', () => request('/logout')],
    ['wrong tokens at introspection', () => post('/introspect', { token: 'x', client_id: 'nobody' })],
    ['wrong tokens at revocation', () => post('/revoke', { token: 'x', client_id: 'nobody' })],
    [
      'wrong tokens at userinfo',
      () => request('/userinfo', { headers: { authorization: 'Bearer nonsense' } }),
    ],
    ['whatever there is not', () => request('/nothing-here')],
  ];
  for (const [what, send] of counted) {
    it(`count ${what}`, async () => {
      await untilRefused(send);
    });
  }

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

  it('do not count refusals that the protocol itself asks for', async () => {
    const spa = await createRelyingParty(app, tenant, {
      metadata: { token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true },
    });
    const key = await createDpopKey();

    for (let index = 0; index < 3 * LIMIT; index += 1) {
      const dpop = await key.proof('POST', `${tenant.issuer}/token`);
      const fields = { grant_type: 'refresh_token', refresh_token: 'x', client_id: spa.clientId };
      const response = await post('/token', fields, { dpop });
      assert.equal(((await response.json()) as { error: string }).error, 'use_dpop_nonce');
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
  });
});
