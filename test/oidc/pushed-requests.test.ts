import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { startLoopbackServer } from '../support/loopback-server.ts';
import { CODE_CHALLENGE, createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

describe('pushed authorization requests (RFC 9126)', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    rp = await createRelyingParty(app, tenant);
  });
  after(() => app.close());

  const push = (params: Record<string, string | undefined> = {}, from = rp) => {
    const all: Record<string, string | undefined> = {
      client_id: from.clientId,
      response_type: 'code',
      redirect_uri: REDIRECT_URI,
      scope: 'openid',
      state: 'pushed-state',
      code_challenge: CODE_CHALLENGE,
      code_challenge_method: 'S256',
      ...params,
    };
    const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return from.call('/par', Object.fromEntries(given));
  };
  const pushed = async (params?: Record<string, string>, from = rp) =>
    String((await push(params, from)).body['request_uri']);
  const open = (requestUri: string, { from = rp, agent = createUserAgent() } = {}, more = {}) =>
    agent.get(
      `${tenant.issuer}/authorize?${new URLSearchParams({ client_id: from.clientId, request_uri: requestUri, ...more }).toString()}`,
    );
  const expireRequests = () =>
    app.db.raw(
      `UPDATE oidc_models SET payload = jsonb_set(payload, '{exp}', to_jsonb(?::int))
        WHERE tenant_id = ? AND model = 'PushedAuthorizationRequest'`,
      [Math.floor(Date.now() / 1000) - 1, tenant.tenant.id],
    );
  const isAsking = async (agent: UserAgent, page: Page) =>
    (await agent.follow(page, tenant.issuer)).body.includes('name="username"');

  it('give a request_uri that leads to a code, once', async () => {
    const agent = createUserAgent();
    const requestUri = await pushed();

    const { code = '', state } = await rp.signIn(agent, { request_uri: requestUri });
    const again = await open(requestUri, { agent });

    assert.match(requestUri, /^urn:ietf:params:oauth:request_uri:[\w-]{20,}$/);
    assert.equal(state, 'pushed-state');
    assert.equal((await rp.redeem(code)).status, 200);
    assert.ok(!again.location?.includes('code='));
    assert.match(`${again.body}${again.location ?? ''}`, /invalid_request_uri/);
  });

  it('answer 201 with the life of the request, for no cache to keep', async () => {
    const { status, headers, body } = await push();

    assert.equal(status, 201);
    assert.ok(Number(body['expires_in']) > 0 && Number(body['expires_in']) <= 60);
    assert.equal(headers.get('cache-control'), 'no-store');
  });

  it('are what counts, whatever else the address of the browser says', async () => {
    const agent = createUserAgent();
    const requestUri = await pushed({ state: 'pushed-state', scope: 'openid' });

    const { state } = await rp.signIn(agent, {
      request_uri: requestUri,
      state: 'forged',
      scope: 'openid email',
    });

    assert.equal(state, 'pushed-state');
  });

  for (const [fault, [params, error]] of Object.entries<[Record<string, string | undefined>, string]>({
    'a foreign redirect URI': [{ redirect_uri: 'https://evil.example/' }, 'invalid_request'],
    'no redirect URI': [{ redirect_uri: undefined }, 'invalid_request'],
    'another response type': [{ response_type: 'token' }, 'unsupported_response_type'],
    'no response type': [{ response_type: undefined }, 'invalid_request'],
    'another response mode': [{ response_mode: 'web_message' }, 'unsupported_response_mode'],
    'no PKCE': [{ code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
    'plain PKCE': [{ code_challenge_method: 'plain' }, 'invalid_request'],
    'an unknown prompt': [{ prompt: 'whatever' }, 'invalid_request'],
    'an unknown resource': [{ resource: 'https://unknown.example/' }, 'invalid_target'],
    'claims that do not parse': [{ claims: '{' }, 'invalid_request'],
    'a bad hint': [{ id_token_hint: 'x' }, 'invalid_request'],
    'a request_uri of its own': [{ request_uri: 'urn:x' }, 'request_uri_not_supported'],
    'a request object': [{ request: 'eyJhbGciOiJub25lIn0.e30.' }, 'request_not_supported'],
    'another client': [{ client_id: 'somebody-else' }, 'invalid_request'],
  })) {
    it(`are checked at once, and nobody is redirected: ${fault}`, async () => {
      const { status, headers, body } = await push(params);

      assert.deepEqual([status, body.error], [400, error]);
      assert.equal(headers.get('location'), null);
      assert.equal(body['request_uri'], undefined);
    });
  }

  it('are refused to who cannot prove to be the client', async () => {
    const response = await fetch(`${tenant.issuer}/par`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: rp.clientId,
        response_type: 'code',
        redirect_uri: REDIRECT_URI,
      }),
    });

    assert.equal(response.status, 401);
  });

  it('can be made by a public client', async () => {
    const spa = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });

    const { code = '' } = await spa.signIn(createUserAgent(), { request_uri: await pushed({}, spa) });

    assert.equal((await spa.redeem(code)).status, 200);
  });

  it('belong to the client that made them', async () => {
    const other = await createRelyingParty(app, tenant);

    const page = await open(await pushed(), { from: other });

    assert.equal(await isAsking(createUserAgent(), page), false);
    assert.ok(!page.location?.includes('/interaction/'));
  });

  it('belong to the tenant they were made in', async () => {
    const elsewhere = await app.tenant();
    const there = await createRelyingParty(app, elsewhere);
    const requestUri = await pushed();

    const { status, location } = await createUserAgent().get(
      `${elsewhere.issuer}/authorize?${new URLSearchParams({ client_id: there.clientId, request_uri: requestUri }).toString()}`,
    );

    assert.deepEqual([status, location], [400, undefined]);
  });

  it('can be opened until they expire', async () => {
    const agent = createUserAgent();
    const requestUri = await pushed();
    const early = await open(requestUri, { agent });
    await expireRequests();

    const late = await open(requestUri);

    assert.equal(await isAsking(agent, early), true);
    assert.equal(late.location, undefined);
    assert.match(late.body, /invalid_request_uri/);
  });

  it('wait for somebody who takes longer to sign in than the request lives', async () => {
    const slow = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    const page = await agent.follow(await open(await pushed({}, slow), { from: slow, agent }), tenant.issuer);
    await expireRequests();

    const password = await agent.follow(
      await agent.submit(page, '/identifier', { username: slow.user.email }),
      tenant.issuer,
    );
    const consent = await agent.follow(
      await agent.submit(password, '/password', { password: GOOD_PASSWORD }),
      tenant.issuer,
    );
    const { location = '' } = await agent.follow(
      await agent.submit(consent, '/consent', { decision: 'allow' }),
      tenant.issuer,
    );

    assert.ok(new URL(location).searchParams.get('code'));
  });

  it('are the only way for a client that says so', async () => {
    const strict = await createRelyingParty(app, tenant, {
      metadata: { require_pushed_authorization_requests: true },
    });

    const { location = '' } = await createUserAgent().get(strict.authorizationUrl());
    const { code } = await strict.signIn(createUserAgent(), { request_uri: await pushed({}, strict) });

    assert.equal(new URL(location).searchParams.get('error'), 'invalid_request');
    assert.ok(code);
  });

  it('let the person be somebody else than the one who is asked', async () => {
    const agent = createUserAgent();
    const asked = await createRelyingParty(app, tenant);
    const other = await createRelyingParty(app, tenant);
    await asked.signIn(agent);
    const requestUri = await pushed({ scope: 'openid email' }, asked);
    const consent = await agent.follow(await open(requestUri, { from: asked, agent }), tenant.issuer);

    const identifier = await agent.get(`${consent.url}/identifier`);
    const password = await agent.follow(
      await agent.submit(identifier, '/identifier', { username: other.user.email }),
      tenant.issuer,
    );
    const changing = await agent.follow(
      await agent.submit(password, '/password', { password: GOOD_PASSWORD }),
      tenant.issuer,
    );
    const again = await agent.follow(await agent.submit(changing, '/logout/confirm'), tenant.issuer);
    const allowed = await agent.submit(again, '/consent', { decision: 'allow' });
    const { location = '' } = await agent.follow(allowed, tenant.issuer);
    const { body } = await asked.redeem(new URL(location).searchParams.get('code') ?? '');

    assert.equal(decodeJwt(body.id_token ?? '').sub, other.user.id);
  });

  describe('from elsewhere', () => {
    for (const scheme of ['https', 'http']) {
      it(`are refused without being fetched: ${scheme}`, async () => {
        const remote = await startLoopbackServer();
        const address = `${remote.url.replace('http:', `${scheme}:`)}/request.jwt`;

        const { location, body } = await open(address, {}, { redirect_uri: REDIRECT_URI });
        await remote.close();

        assert.match(`${body}${location ?? ''}`, /request_uri_not_supported/);
        assert.equal(remote.requests.length, 0);
      });
    }

    for (const made of [
      'urn:ietf:params:oauth:request_uri:made-up',
      'urn:ietf:params:oauth:request_uri:',
      'file:///etc/passwd',
    ]) {
      it(`are refused: ${made}`, async () => {
        const page = await open(made);

        assert.deepEqual([page.status, page.location], [400, undefined]);
      });
    }
  });
});
