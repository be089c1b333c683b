import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { errors } from 'jose';
import Koa from 'koa';
import request from 'supertest';
import type { IssuerKeys } from '../../src/demo/demo-client.ts';
import { sampleApiRoutes } from '../../src/demo/sample-api.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createTestIssuer, RESOURCE } from './signed-tokens.ts';

describe('sample API', () => {
  let issuer: Awaited<ReturnType<typeof createTestIssuer>>;

  before(async () => {
    issuer = await createTestIssuer();
  });

  function api(verification: () => Promise<IssuerKeys> = async () => issuer.verification) {
    const app = new Koa();
    const log = createLogger({ level: 'silent' });
    app.use(sampleApiRoutes({ resource: RESOURCE, verification, log }).routes());
    const handle = app.callback();
    return request((req: IncomingMessage, res: ServerResponse) => void handle(req, res));
  }

  function call(token: string, verification?: () => Promise<IssuerKeys>) {
    return api(verification).get('/demo/api/hello').set('Authorization', `Bearer ${token}`);
  }

  it('answers whoever brings a valid token with its scope', async () => {
    const answer = await call(await issuer.accessToken());

    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, {
      message: 'Hello from the sample API.',
      you: 'ana',
      calledBy: 'demo',
      scopes: ['greetings:read'],
    });
    assert.equal(answer.headers['cache-control'], 'no-store');
  });

  it('tells a request without a token only the scheme (RFC 6750 §3)', async () => {
    const answer = await api().get('/demo/api/hello');

    assert.equal(answer.status, 401);
    assert.equal(answer.headers['www-authenticate'], 'Bearer realm="Gatehouse demo"');
  });

  it('does not read a token from the URL', async () => {
    const token = await issuer.accessToken();

    const answer = await api().get('/demo/api/hello').query({ access_token: token });

    assert.equal(answer.status, 401);
  });

  it('answers 400 to an Authorization header it cannot read', async () => {
    const answer = await api().get('/demo/api/hello').set('Authorization', 'Bearer two tokens');

    assert.equal(answer.status, 400);
    assert.match(answer.headers['www-authenticate'] ?? '', /error="invalid_request"/);
  });

  it('refuses tokens that are forged, expired, unsigned or meant for somebody else', async () => {
    const past = Math.floor(Date.now() / 1000) - 60;
    const [, payload] = (await issuer.accessToken()).split('.');
    const unsigned = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url');
    const refused = {
      forged: await issuer.accessToken({}, {}, { forged: true }),
      'of an unknown key': await issuer.accessToken({}, { kid: 'key-2' }),
      expired: await issuer.accessToken({ exp: past }),
      'without an end': await issuer.accessToken({ exp: undefined }),
      'for another API': await issuer.accessToken({ aud: 'https://api.example' }),
      'of another issuer': await issuer.accessToken({ iss: 'https://other.example' }),
      'an ID token': await issuer.accessToken({}, { typ: 'JWT' }),
      'bound to a key': await issuer.accessToken({ cnf: { jkt: 'thumbprint' } }),
      unsigned: `${unsigned}.${payload}.`,
      'not a JWT': 'a-random-handle',
    };

    for (const [what, token] of Object.entries(refused)) {
      const answer = await call(token);
      assert.equal(answer.status, 401, what);
      assert.match(answer.headers['www-authenticate'] ?? '', /error="invalid_token"/, what);
    }
  });

  it('answers 403 and names the scope when the token lacks it', async () => {
    const answer = await call(await issuer.accessToken({ scope: 'openid' }));

    assert.equal(answer.status, 403);
    assert.match(
      answer.headers['www-authenticate'] ?? '',
      /error="insufficient_scope".*scope="greetings:read"/,
    );
  });

  it('answers 503, not that the token is invalid, while the keys cannot be had', async () => {
    const failures = [new TypeError('fetch failed'), new errors.JWKSTimeout()];

    for (const failure of failures) {
      const answer = await call(await issuer.accessToken(), () => Promise.reject(failure));
      assert.equal(answer.status, 503);
      assert.equal(answer.headers['www-authenticate'], undefined);
      assert.equal(answer.headers['retry-after'], '5');
    }
  });
});
