import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent, formsOf } from '../support/user-agent.ts';

describe('authorization request', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    rp = await createRelyingParty(app, tenant);
  });
  after(() => app.close());

  const answer = async (url: string) => {
    const { status, location, body } = await createUserAgent().get(url);
    const [, answered] = location?.startsWith(REDIRECT_URI) ? location.split(/[?#]/) : [];
    return {
      status,
      location,
      body,
      params: answered === undefined ? undefined : Object.fromEntries(new URLSearchParams(answered)),
    };
  };

  describe('response_type', () => {
    for (const responseType of [
      'token',
      'id_token',
      'id_token token',
      'code token',
      'code id_token',
      'code id_token token',
      'none',
      'CODE',
      'unknown',
      '__proto__',
    ]) {
      it(`is code, not ${responseType}`, async () => {
        const { params, location } = await answer(
          rp.authorizationUrl({ response_type: responseType, nonce: 'n' }),
        );

        assert.equal(params?.['error'], 'unsupported_response_type', location);
      });
    }

    it('is required', async () => {
      const { params } = await answer(rp.authorizationUrl({ response_type: undefined }));

      assert.equal(params?.['error'], 'invalid_request');
    });
  });

  describe('response_mode', () => {
    it('can be fragment', async () => {
      const { location = '' } = await answer(
        rp.authorizationUrl({ response_mode: 'fragment', prompt: 'none' }),
      );

      assert.ok(location.startsWith(`${REDIRECT_URI}#`));
      assert.equal(new URLSearchParams(new URL(location).hash.slice(1)).get('error'), 'login_required');
    });

    it('can be form_post, and the policy of that page lets the form reach the app', async () => {
      const { status, headers, body } = await createUserAgent().get(
        rp.authorizationUrl({ response_mode: 'form_post', prompt: 'none' }),
      );

      const [form] = formsOf(body);
      assert.ok(status < 500);
      assert.equal(form?.action, REDIRECT_URI);
      assert.equal(form?.hidden['error'], 'login_required');
      assert.match(
        headers.get('content-security-policy') ?? '',
        /form-action 'self' https:\/\/app\.example;?/,
      );
      assert.match(headers.get('content-security-policy') ?? '', /script-src 'self' 'sha256-/);
    });

    for (const mode of ['web_message', 'jwt', 'query.jwt', 'form_post.jwt', 'unknown', '__proto__']) {
      it(`cannot be ${mode}`, async () => {
        const { params } = await answer(rp.authorizationUrl({ response_mode: mode }));

        assert.equal(params?.['error'], 'unsupported_response_mode');
      });
    }
  });

  describe('parameters', () => {
    for (const name of [
      'response_type',
      'scope',
      'state',
      'nonce',
      'prompt',
      'code_challenge',
      'code_challenge_method',
      'max_age',
      'login_hint',
    ]) {
      it(`are given once: ${name}`, async () => {
        const { params, location } = await answer(`${rp.authorizationUrl()}&${name}=a&${name}=b`);

        assert.equal(params?.['error'], 'invalid_request', location);
        assert.equal(params?.['code'], undefined);
      });
    }

    for (const name of ['client_id', 'redirect_uri']) {
      it(`are given once, and nobody is sent anywhere without one ${name}`, async () => {
        const value = name === 'client_id' ? rp.clientId : REDIRECT_URI;

        const { status, location } = await answer(`${rp.authorizationUrl()}&${name}=${value}`);

        assert.deepEqual([status, location], [400, undefined]);
      });
    }

    it('that nobody knows are ignored', async () => {
      const { location } = await answer(`${rp.authorizationUrl()}&unknown=a&unknown=b&__proto__=c`);

      assert.ok(location?.startsWith(`${tenant.issuer}/interaction/`));
    });

    it('can be posted as well', async () => {
      const agent = createUserAgent();
      const { searchParams } = new URL(rp.authorizationUrl());

      const posted = await agent.post(`${tenant.issuer}/authorize`, Object.fromEntries(searchParams));
      const { status, url } = await agent.follow(posted, tenant.issuer);

      assert.equal(posted.status, 303);
      assert.equal(status, 200);
      assert.ok(url.startsWith(`${tenant.issuer}/interaction/`));
    });

    for (const [name, value] of Object.entries({
      request: 'eyJhbGciOiJub25lIn0.e30.',
      registration: '{}',
      claims: 'not json',
      max_age: '-1',
      prompt: 'unknown',
      id_token_hint: 'not-a-token',
      scope: 'openid "quoted"',
    })) {
      it(`are refused when they cannot be honoured: ${name}`, async () => {
        const { params, location } = await answer(rp.authorizationUrl({ [name]: value }));

        assert.ok(params?.['error'], `went to ${location}`);
        assert.equal(params['code'], undefined);
      });
    }
  });

  describe('errors', () => {
    it('carry issuer and state to the app (RFC 9207)', async () => {
      const { params } = await answer(
        rp.authorizationUrl({ code_challenge: undefined, code_challenge_method: undefined, state: 's 1&2' }),
      );

      assert.equal(params?.['error'], 'invalid_request');
      assert.equal(params['iss'], tenant.issuer);
      assert.equal(params['state'], 's 1&2');
    });

    it('have no state when the request has none', async () => {
      const { params } = await answer(rp.authorizationUrl({ response_type: 'token', state: undefined }));

      assert.equal(params?.['error'], 'unsupported_response_type');
      assert.ok(!('state' in params));
    });

    for (const [fault, params] of Object.entries({
      'an unknown client': { client_id: 'nobody' },
      'no client': { client_id: undefined },
      'a foreign redirect URI': { redirect_uri: 'https://evil.example/' },
      'a foreign redirect URI and another fault': {
        redirect_uri: 'https://evil.example/',
        response_type: 'token',
      },
      'a foreign redirect URI and prompt=none': { redirect_uri: 'https://evil.example/', prompt: 'none' },
      'a foreign redirect URI and form_post': {
        redirect_uri: 'https://evil.example/',
        response_mode: 'form_post',
      },
    })) {
      it(`stay on a page with a reference: ${fault}`, async () => {
        const { status, headers, location, body } = await createUserAgent().get(rp.authorizationUrl(params));

        assert.deepEqual([status, location], [400, undefined]);
        assert.ok(body.includes(headers.get('x-request-id') ?? '?'));
        assert.ok(!/<(form|a)[^>]*evil\.example/.test(body));
        assert.ok(!(headers.get('content-security-policy') ?? '').includes('evil.example'));
      });
    }
  });

  describe('success', () => {
    it('carries code, issuer and state to the app, and nothing else', async () => {
      const params = await rp.signIn(createUserAgent(), { state: 'ünïcode & "quotes"' });

      assert.deepEqual(new Set(Object.keys(params)), new Set(['code', 'iss', 'state']));
      assert.equal(params['iss'], tenant.issuer);
      assert.equal(params['state'], 'ünïcode & "quotes"');
    });

    it('keeps the query of the redirect URI', async () => {
      const uri = `${REDIRECT_URI}?tenant=1&x=%20y`;
      const other = await createRelyingParty(app, tenant, { metadata: { redirect_uris: [uri] } });

      const params = await other.signIn(createUserAgent(), { redirect_uri: uri });

      assert.equal(params['tenant'], '1');
      assert.equal(params['x'], ' y');
      assert.ok(params['code']);
    });
  });
});
