import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { tokensOf } from '../support/token-sets.ts';

const OWN = 'https://app.example';
const FOREIGN = [
  'https://evil.example',
  'http://app.example',
  'https://app.example:8443',
  'https://sub.app.example',
  'https://app.example.evil.example',
  'null',
];

describe('cross-origin requests', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let spa: RelyingParty;
  let native: RelyingParty;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    spa = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
    native = await createRelyingParty(app, tenant, {
      metadata: {
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['com.example.app:/callback'],
      },
    });
  });
  after(() => app.close());

  const preflight = (path: string, origin: string, method = 'POST') =>
    fetch(`${tenant.issuer}${path}`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization, dpop',
      },
    });
  const post = (path: string, origin: string, clientId = spa.clientId) =>
    fetch(`${tenant.issuer}${path}`, {
      method: 'POST',
      headers: { origin, accept: 'application/json' },
      body: new URLSearchParams({
        client_id: clientId,
        token: 'x',
        grant_type: 'authorization_code',
        code: 'x',
      }),
    });
  const userinfo = (origin: string, token: string) =>
    fetch(`${tenant.issuer}/userinfo`, { headers: { origin, authorization: `Bearer ${token}` } });
  const allowed = (response: Response) => response.headers.get('access-control-allow-origin');

  for (const path of ['/token', '/revoke', '/introspect', '/par']) {
    it(`are answered at ${path} for the origins the client returns to`, async () => {
      const response = await post(path, OWN);

      assert.equal(allowed(response), OWN);
      assert.match(response.headers.get('vary') ?? '', /origin/i);
      assert.equal(response.headers.get('access-control-allow-credentials'), null);
    });

    for (const origin of FOREIGN) {
      it(`are refused at ${path} for others: ${origin}`, async () => {
        const response = await post(path, origin);

        assert.equal(allowed(response), null);
        assert.equal(response.status, 400);
      });
    }

    it(`are refused at ${path} for pages without an origin, also with a client that has no web address`, async () => {
      const response = await post(path, 'null', native.clientId);

      assert.equal(allowed(response), null);
      assert.equal(response.status, 400);
    });

    it(`may be announced at ${path}, without cookies`, async () => {
      const response = await preflight(path, OWN);

      assert.equal(response.status, 204);
      assert.equal(allowed(response), OWN);
      assert.match(response.headers.get('access-control-allow-methods') ?? '', /POST/);
      assert.match(response.headers.get('access-control-allow-headers') ?? '', /dpop/i);
      assert.equal(response.headers.get('access-control-allow-credentials'), null);
    });
  }

  it('are answered at userinfo for the origins of the token’s client', async () => {
    const { access_token: token } = await tokensOf(spa);

    const [own, ...foreign] = await Promise.all([OWN, ...FOREIGN].map((origin) => userinfo(origin, token)));

    assert.ok(own);
    assert.deepEqual([own.status, allowed(own)], [200, OWN]);
    for (const response of foreign) {
      assert.deepEqual([response.status, allowed(response)], [400, null]);
      assert.ok(!(await response.text()).includes(spa.user.id));
    }
  });

  for (const path of [
    '/authorize',
    '/logout',
    '/logout/confirm',
    '/interaction/abc',
    '/interaction/abc/password',
    '/',
  ]) {
    it(`are not for pages: ${path}`, async () => {
      const answers = [
        await fetch(`${tenant.issuer}${path}`, { headers: { origin: OWN }, redirect: 'manual' }),
        await preflight(path, OWN, 'GET'),
        await post(path, OWN),
      ];

      assert.deepEqual(answers.map(allowed), [null, null, null]);
    });
  }
});
