import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createDpopKey } from '../support/dpop.ts';
import type { DpopKey } from '../support/dpop.ts';
import { CODE_CHALLENGE, createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty, TokenResponse } from '../support/relying-party.ts';
import { createMachine, introspect, tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

const API = 'https://api.example/';
const OFFLINE = { scope: 'openid offline_access', prompt: 'consent' };

describe('tokens bound to a key (RFC 9449)', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let spa: RelyingParty;
  let web: RelyingParty;
  let key: DpopKey;
  let thief: DpopKey;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    spa = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
    web = await createRelyingParty(app, tenant);
    [key, thief] = [await createDpopKey(), await createDpopKey()];
    await app.services.resources.create(tenant.actor, { identifier: API, scopes: [{ name: 'read' }] });
  });
  after(() => app.close());

  /** With a nonce as soon as the server wants one, like any client. */
  async function withProof(
    by: DpopKey,
    send: (headers: Record<string, string>) => Promise<TokenResponse>,
  ): Promise<TokenResponse> {
    const first = await send({ dpop: await by.proof('POST', `${tenant.issuer}/token`) });
    const nonce = first.headers.get('dpop-nonce');
    if (first.body.error !== 'use_dpop_nonce' || nonce === null) return first;
    return send({ dpop: await by.proof('POST', `${tenant.issuer}/token`, { nonce }) });
  }
  const redeem = async (rp: RelyingParty, by = key, authorize: Record<string, string> = {}) => {
    const { code = '' } = await rp.signIn(createUserAgent(), authorize);
    return withProof(by, (headers) => rp.redeem(code, {}, headers));
  };
  const refresh = (rp: RelyingParty, token: string | undefined, by: DpopKey) =>
    withProof(by, (headers) => rp.refresh(token ?? '', {}, headers));

  describe('at userinfo', () => {
    let token: string;
    before(async () => {
      token = (await redeem(web)).body.access_token ?? '';
    });

    const url = () => `${tenant.issuer}/userinfo`;
    const userinfo = (proof: string | undefined, { scheme = 'DPoP', of = token } = {}) =>
      fetch(url(), {
        headers: { authorization: `${scheme} ${of}`, ...(proof === undefined ? {} : { dpop: proof }) },
      });

    it('work with a proof of the key over this very token', async () => {
      const response = await userinfo(await key.proof('GET', url(), { accessToken: token }));

      assert.equal(response.status, 200, await response.clone().text());
      assert.equal(((await response.json()) as { sub: string }).sub, web.user.id);
    });

    for (const [fault, send] of Object.entries<() => Promise<Response>>({
      'as a bearer token': () => userinfo(undefined, { scheme: 'Bearer' }),
      'as a bearer token with a proof': async () =>
        userinfo(await key.proof('GET', url(), { accessToken: token }), { scheme: 'Bearer' }),
      'without a proof': () => userinfo(undefined),
      'with another key': async () => userinfo(await thief.proof('GET', url(), { accessToken: token })),
      'with a proof that names no token': async () => userinfo(await key.proof('GET', url())),
      'with a proof of another token': async () =>
        userinfo(await key.proof('GET', url(), { accessToken: 'at_other' })),
      'with a proof for another method': async () =>
        userinfo(await key.proof('POST', url(), { accessToken: token })),
      'with a proof for another endpoint': async () =>
        userinfo(await key.proof('GET', `${tenant.issuer}/token`, { accessToken: token })),
    })) {
      it(`are refused ${fault}`, async () => {
        const response = await send();

        assert.ok([400, 401].includes(response.status), String(response.status));
        assert.match(response.headers.get('www-authenticate') ?? '', /DPoP/);
      });
    }

    it('are refused with a proof that was used', async () => {
      const proof = await key.proof('GET', url(), { accessToken: token });

      const statuses = [(await userinfo(proof)).status, (await userinfo(proof)).status];

      assert.deepEqual(statuses, [200, 401]);
    });

    it('are told from bearer tokens, which a proof does not ennoble', async () => {
      const { access_token: bearer } = await tokensOf(web);

      const response = await userinfo(await key.proof('GET', url(), { accessToken: bearer }), { of: bearer });

      assert.equal(response.status, 401);
    });
  });

  it('name the key', async () => {
    const opaque = await redeem(web);
    const jwt = await redeem(web, key, { scope: 'openid read', resource: API });

    const shown = await introspect(web, jwt.body.access_token ?? '');
    assert.deepEqual((await introspect(web, opaque.body.access_token ?? ''))['cnf'], { jkt: key.jkt });
    assert.deepEqual(decodeJwt(jwt.body.access_token ?? '')['cnf'], { jkt: key.jkt });
    assert.deepEqual([shown['cnf'], shown['token_type']], [{ jkt: key.jkt }, 'DPoP']);
  });

  it('of a public client are refreshed with the same key only', async () => {
    const { body } = await redeem(spa, key, OFFLINE);

    const stolen = await refresh(spa, body.refresh_token, thief);
    const bare = await spa.refresh(body.refresh_token ?? '');
    const own = await refresh(spa, body.refresh_token, key);

    assert.deepEqual([stolen.status, stolen.body.error], [400, 'invalid_grant']);
    assert.deepEqual([bare.status, bare.body.error], [400, 'invalid_grant']);
    assert.deepEqual([own.status, own.body['token_type']], [200, 'DPoP'], JSON.stringify(own.body));
  });

  it('of a confidential client are refreshed by the client, with whatever key it has now', async () => {
    const { body } = await redeem(web);

    const next = await refresh(web, body.refresh_token, thief);

    assert.equal(next.status, 200);
    assert.deepEqual((await introspect(web, next.body.access_token ?? ''))['cnf'], { jkt: thief.jkt });
  });

  describe('from the first request on', () => {
    it('are given to the key the authorization request named (dpop_jkt)', async () => {
      const agent = createUserAgent();
      const { code: stolen = '' } = await web.signIn(agent, { dpop_jkt: key.jkt });
      const { code = '' } = await web.signIn(agent, { dpop_jkt: key.jkt });

      const refused = await withProof(thief, (headers) => web.redeem(stolen, {}, headers));
      const bare = await web.redeem((await web.signIn(agent, { dpop_jkt: key.jkt })).code ?? '');
      const given = await withProof(key, (headers) => web.redeem(code, {}, headers));

      assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant']);
      assert.deepEqual([bare.status, bare.body.error], [400, 'invalid_grant']);
      assert.equal(given.status, 200, JSON.stringify(given.body));
    });

    it('are given to the key that proved itself when the request was pushed', async () => {
      const response = await fetch(`${tenant.issuer}/par`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`${web.clientId}:${web.clientSecret}`).toString('base64')}`,
          dpop: await key.proof('POST', `${tenant.issuer}/par`),
        },
        body: new URLSearchParams({
          client_id: web.clientId,
          response_type: 'code',
          redirect_uri: REDIRECT_URI,
          scope: 'openid',
          code_challenge: CODE_CHALLENGE,
          code_challenge_method: 'S256',
        }),
      });
      const { request_uri: requestUri } = (await response.json()) as { request_uri: string };

      const { code = '' } = await web.signIn(createUserAgent(), { request_uri: requestUri });
      const refused = await withProof(thief, (headers) => web.redeem(code, {}, headers));

      assert.equal(response.status, 201);
      assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant']);
    });
  });

  it('are the only ones for a client that says so', async () => {
    const strict = await createRelyingParty(app, tenant, { metadata: { dpop_bound_access_tokens: true } });
    const machine = await createMachine(app, tenant, { metadata: { dpop_bound_access_tokens: true } });

    const bare = await strict.redeem((await strict.signIn()).code ?? '');
    const bound = await redeem(strict);
    const bareService = await machine.token();

    assert.equal(bare.status, 400);
    assert.equal(bare.body.access_token, undefined);
    assert.equal(bound.body['token_type'], 'DPoP');
    assert.equal(bareService.status, 400);
  });
});
