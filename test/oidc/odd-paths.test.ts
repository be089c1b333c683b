import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { rawRequest } from '../support/raw-request.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
const ENDPOINTS = [
  '/authorize',
  '/token',
  '/userinfo',
  '/jwks',
  '/introspect',
  '/revoke',
  '/par',
  '/logout',
  '/logout/confirm',
  '/logout/success',
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
  '/interaction/abc',
  '/interaction/abc/password',
];

/** Below every tenant; none of them is anything. */
const NOWHERE = [
  '/device',
  '/device/anything',
  '/device/anything/more',
  '/register',
  '/reg',
  '/auth',
  '/me',
  '/session/end',
  '/token/',
  '/token/introspection',
  '/token/revocation',
  '/Token',
  '/TOKEN',
  '/authorize/',
  '/authorize/a/b',
  '/authorize.json',
  '/jwks.json',
  '/userinfo/',
  '/logout/',
  '/logout/other',
  '/interaction',
  '/interaction/',
  '/interaction/abc/nothing',
  '/.well-known',
  '/.well-known/',
  '/.well-known/webfinger',
  '/.well-known/openid-configuration/',
  '/.well-known/openid-configuration/more',
  '//authorize',
  '///authorize',
  '/./authorize',
  '/x/../authorize',
  '/..%2fauthorize',
  '/%2fauthorize',
  '/authorize%2fabc',
  '/authorize%2F..%2Ftoken',
  '/authorize;a=b',
  '/authorize%3Fclient_id=x',
  '/auth%6frize',
  '/__proto__',
  '/constructor',
  '/hasOwnProperty/x',
  '/views/layout.ejs',
  '/assets/../package.json',
  '/assets/%2e%2e/%2e%2e/package.json',
  '/index.html',
  '/favicon.txt',
];

/** At the root; no tenant is there. */
const NO_TENANT = [
  '/t',
  '/t/',
  '/t//authorize',
  '/t/nope/authorize',
  '/t/nope/.well-known/openid-configuration',
  '/t/nope/jwks',
  '/t/nope/interaction/abc',
  '/t/nope/',
  '/t/nope',
  '/t/default/authorize',
  '/t/default/jwks',
  '/t/default/.well-known/openid-configuration',
  '/t/default/',
  '/t/DEFAULT/jwks',
  '/t/__proto__/jwks',
  '/t/constructor/jwks',
  '/t/%00/jwks',
  '/t/..%2f/jwks',
  '/t/a%2Fb/jwks',
  `/t/${'a'.repeat(64)}/jwks`,
  `/t/${'a'.repeat(5000)}/jwks`,
  "/t/'or'1'='1/jwks",
];

describe('odd paths and methods', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let mount: string;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    mount = new URL(tenant.issuer).pathname;
  });
  after(() => app.close());

  const get = (path: string, headers: Record<string, string> = {}) => rawRequest(app.url, path, { headers });
  const isRefusal = (status: number) => status >= 400 && status < 500;

  for (const path of NOWHERE) {
    it(`are 404 below a tenant and at the root: ${path}`, async () => {
      const [below, atRoot] = [await get(`${mount}${path}`), await get(path)];

      assert.ok(below.status === 404 || below.status === 400, String(below.status));
      assert.ok(atRoot.status === 404 || atRoot.status === 400, String(atRoot.status));
    });
  }

  for (const path of NO_TENANT) {
    it(`are 404 where no tenant is: ${path.slice(0, 60)}`, async () => {
      const { status } = await get(path);

      assert.ok([400, 404].includes(status), String(status));
    });
  }

  it('are 404 in the tenant’s address in capitals', async () => {
    const { status } = await get(`${mount.toUpperCase()}/jwks`);

    assert.equal(status, 404);
  });

  for (const path of ['/authorize/abc', '/interaction/abc', '/interaction/abc/password']) {
    it(`say that a sign-in which is not there has expired: ${path}`, async () => {
      const { status, headers, text } = await get(`${mount}${path}`, { accept: 'text/html' });

      assert.equal(status, 400);
      assert.ok(text.includes(String(headers['x-request-id'])));
    });
  }

  for (const method of METHODS) {
    for (const path of ENDPOINTS) {
      it(`are never a fault of the server: ${method} ${path}`, async () => {
        const { status, headers } = await rawRequest(app.url, `${mount}${path}`, { method });

        assert.ok(status < 500, String(status));
        assert.ok(headers['x-content-type-options'] === 'nosniff');
        if (['PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND'].includes(method))
          assert.ok(isRefusal(status), String(status));
      });
    }
  }

  for (const path of ['/token', '/introspect', '/revoke', '/par', '/logout/confirm']) {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      it(`are refused: ${method} ${path}`, async () => {
        const { status } = await rawRequest(app.url, `${mount}${path}`, { method });

        assert.ok([404, 405].includes(status), String(status));
      });
    }
  }

  it('have no body on HEAD, and the headers of GET', async () => {
    const path = `${mount}/.well-known/openid-configuration`;
    const [got, head] = [await get(path), await rawRequest(app.url, path, { method: 'HEAD' })];

    assert.deepEqual([head.status, head.text], [200, '']);
    assert.equal(head.headers.etag, got.headers.etag);
    assert.equal(head.headers['content-length'], got.headers['content-length']);
  });

  describe('with a body', () => {
    let rp: RelyingParty;
    before(async () => {
      rp = await createRelyingParty(app, tenant);
    });

    for (const path of ['/token', '/introspect', '/revoke', '/par', '/authorize', '/logout']) {
      for (const [what, { type, body }] of Object.entries({
        JSON: { type: 'application/json', body: '{"client_id":{"$ne":null}}' },
        text: { type: 'text/plain', body: 'client_id=a' },
        multipart: { type: 'multipart/form-data; boundary=x', body: '--x--' },
        'no type': { type: '', body: 'client_id=a' },
        'nothing at all': { type: 'application/x-www-form-urlencoded', body: '' },
        'brackets and dots': {
          type: 'application/x-www-form-urlencoded',
          body: 'client_id[]=a&client_id[b]=c&a.b=c&__proto__[x]=y&constructor=z',
        },
        'broken escapes': {
          type: 'application/x-www-form-urlencoded',
          body: 'client_id=%&token=%zz&state=%00',
        },
        'an odd charset': { type: 'application/x-www-form-urlencoded; charset=utf-7', body: 'client_id=a' },
        'too much': { type: 'application/x-www-form-urlencoded', body: `client_id=${'a'.repeat(100_000)}` },
        'ten thousand fields': {
          type: 'application/x-www-form-urlencoded',
          body: Array.from({ length: 10_000 }, (_, index) => `f${index}=1`).join('&'),
        },
      })) {
        it(`are refused at ${path}: ${what}`, async () => {
          const { status } = await rawRequest(app.url, `${mount}${path}`, {
            method: 'POST',
            headers: type ? { 'content-type': type } : {},
            body,
          });

          assert.ok(status < 500, String(status));
          assert.ok(status === 303 || isRefusal(status) || path === '/logout', String(status));
        });
      }
    }

    it('are unharmed by it: afterwards everything works', async () => {
      const { code = '' } = await rp.signIn();

      assert.equal((await rp.redeem(code)).status, 200);
    });
  });
});
