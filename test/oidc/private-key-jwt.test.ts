import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { exportSPKI, importJWK, SignJWT, UnsecuredJWT } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { assertionFields, createAssertionKey } from '../support/assertion-key.ts';
import type { AssertionKey } from '../support/assertion-key.ts';
import { answerJson, startLoopbackServer } from '../support/loopback-server.ts';
import type { LoopbackServer } from '../support/loopback-server.ts';
import { basicAuth, postForm } from '../support/token-sets.ts';

describe('client authentication by private_key_jwt (RFC 7523)', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let key: AssertionKey;
  let clientId: string;
  let clientServer: LoopbackServer;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    key = await createAssertionKey();
    clientId = await register({ jwks: { keys: [key.publicJwk] } });
  });
  beforeEach(async () => {
    clientServer = await startLoopbackServer();
  });
  afterEach(() => clientServer.close());
  after(() => app.close());

  async function register(
    metadata: Record<string, unknown>,
    at: TestApp = app,
    of = tenant,
  ): Promise<string> {
    const { client } = await at.services.clients.create(of.actor, {
      name: 'Signing service',
      metadata: {
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'private_key_jwt',
        ...metadata,
      },
    });
    return client.clientId;
  }

  const send = (assertion: string, params: Record<string, string> = {}, issuer = tenant.issuer) =>
    postForm(`${issuer}/token`, {
      grant_type: 'client_credentials',
      ...assertionFields(assertion),
      ...params,
    });
  const refused = async (assertion: string, params?: Record<string, string>) => {
    const { status, body } = await send(assertion, params);
    assert.ok(status === 401 || status === 400, `${status} ${JSON.stringify(body)}`);
    assert.equal(body.access_token, undefined);
    return body.error;
  };

  for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
    it(`works with a registered ${alg} key`, async () => {
      const own = await createAssertionKey(alg);
      const id = await register({ jwks: { keys: [own.publicJwk] } });

      const { status, body } = await send(await own.assertion(id, tenant.issuer));

      assert.equal(status, 200, JSON.stringify(body));
    });
  }

  for (const path of ['/introspect', '/revoke']) {
    it(`works at ${path}, too`, async () => {
      const { status } = await postForm(`${tenant.issuer}${path}`, {
        token: 'unknown',
        ...assertionFields(await key.assertion(clientId, tenant.issuer)),
      });

      assert.equal(status, 200);
    });
  }

  for (const [what, audience] of Object.entries<() => string | string[]>({
    'the token endpoint': () => `${tenant.issuer}/token`,
    'another issuer': () => 'https://other.example',
    'the issuer with a slash': () => `${tenant.issuer}/`,
    'another tenant': () => app.url,
    'a list of the issuer and another': () => [tenant.issuer, 'https://other.example'],
    nobody: () => [],
  })) {
    it(`names the issuer as its audience, not ${what}`, async () => {
      const error = await refused(await key.assertion(clientId, audience()));

      assert.equal(error, 'invalid_client');
    });
  }

  for (const [fault, claims] of Object.entries({
    'has expired': { exp: seconds(-60) },
    'has no expiry': { exp: undefined },
    'is not valid yet': { nbf: seconds(600) },
    'has no jti': { jti: undefined },
    'has another issuer': { iss: 'somebody' },
    'has no issuer': { iss: undefined },
    'has no subject': { sub: undefined },
    'has no audience': { aud: undefined },
    'lives for years': { exp: seconds(10 * 365 * 86_400) },
    'lives beyond what a clock can show': { exp: 1e18 },
    'has an expiry that is no number': { exp: '9999999999' },
  })) {
    it(`is refused when it ${fault}`, async () => {
      await refused(await key.assertion(clientId, tenant.issuer, claims));
    });
  }

  it('is used once', async () => {
    const assertion = await key.assertion(clientId, tenant.issuer);

    const first = await send(assertion);
    const second = await send(assertion);

    assert.equal(first.status, 200);
    assert.deepEqual([second.status, second.body.error], [401, 'invalid_client']);
  });

  it('is remembered by its id, not by its text', async () => {
    const claims = { jti: randomUUID() };

    const first = await send(await key.assertion(clientId, tenant.issuer, claims));
    const second = await send(await key.assertion(clientId, tenant.issuer, { ...claims, exp: seconds(30) }));

    assert.deepEqual([first.status, second.status], [200, 401]);
  });

  it('is refused unsigned', async () => {
    const now = Math.floor(Date.now() / 1000);
    const unsigned = new UnsecuredJWT({
      iss: clientId,
      sub: clientId,
      aud: tenant.issuer,
      jti: 'a',
      exp: now + 60,
    });

    assert.equal(await refused(unsigned.encode()), 'invalid_client');
  });

  for (const secretOf of ['PEM', 'JSON'] as const) {
    it(`is refused when the public key was used as a shared secret (${secretOf})`, async () => {
      const text =
        secretOf === 'JSON'
          ? JSON.stringify(key.publicJwk)
          : await exportSPKI((await importJWK(key.publicJwk, 'ES256')) as Parameters<typeof exportSPKI>[0]);
      const forged = await new SignJWT({
        iss: clientId,
        sub: clientId,
        aud: tenant.issuer,
        jti: 'b',
        exp: seconds(60),
      })
        .setProtectedHeader({ alg: 'HS256', kid: 'client-key' })
        .sign(new TextEncoder().encode(text));

      assert.equal(await refused(forged), 'invalid_client');
    });
  }

  it('is verified with registered keys only, whatever its header offers', async () => {
    const forger = await createAssertionKey();
    clientServer.respond = (_req, res) => answerJson(res, { keys: [forger.publicJwk] });

    for (const header of [
      {},
      { jwk: forger.publicJwk },
      { jku: `${clientServer.url}/jwks` },
      { x5u: `${clientServer.url}/cert` },
      { kid: '../../etc/passwd' },
    ]) {
      assert.equal(
        await refused(await forger.assertion(clientId, tenant.issuer, {}, header)),
        'invalid_client',
      );
    }

    assert.equal(clientServer.requests.length, 0);
  });

  it('uses the one algorithm the client registered', async () => {
    const rsa = await createAssertionKey('RS256');
    const id = await register({
      token_endpoint_auth_signing_alg: 'PS256',
      jwks: { keys: [{ ...rsa.publicJwk, alg: undefined }] },
    });

    assert.equal(await refused(await rsa.assertion(id, tenant.issuer)), 'invalid_client');
  });

  it('is the only way for such a client', async () => {
    const [secret, nothing] = [
      await postForm(
        `${tenant.issuer}/token`,
        { grant_type: 'client_credentials' },
        { authorization: basicAuth(clientId, 'kept-as-a-hash') },
      ),
      await postForm(`${tenant.issuer}/token`, { grant_type: 'client_credentials', client_id: clientId }),
    ];

    assert.deepEqual([secret.status, nothing.status], [401, 401]);
  });

  it('speaks for the client that signed it and for no other', async () => {
    const other = await register({ jwks: { keys: [(await createAssertionKey()).publicJwk] } });
    const assertion = await key.assertion(other, tenant.issuer);
    const mismatched = await key.assertion(clientId, tenant.issuer);

    assert.equal(await refused(assertion), 'invalid_client');
    assert.equal(await refused(mismatched, { client_id: other }), 'invalid_request');
  });

  it('needs its type to be named', async () => {
    const assertion = await key.assertion(clientId, tenant.issuer);

    assert.equal(await refused(assertion, { client_assertion_type: 'urn:other' }), 'invalid_request');
  });

  it('of another tenant is nothing', async () => {
    const other = await app.tenant();

    const { status, body } = await send(await key.assertion(clientId, other.issuer), {}, other.issuer);

    assert.deepEqual([status, body.error], [401, 'invalid_client']);
  });

  describe('with jwks_uri', () => {
    it('fetches the keys, and again a minute later when the client has new ones', async () => {
      let current = await createAssertionKey('ES256', 'first');
      clientServer.respond = (_req, res) => answerJson(res, { keys: [current.publicJwk] });
      const id = await register({ jwks_uri: `${clientServer.url}/jwks.json` });
      const statusNow = async () => (await send(await current.assertion(id, tenant.issuer))).status;

      const first = await statusNow();
      current = await createAssertionKey('ES256', 'second');
      const tooSoon = await statusNow();
      const later = await secondsLater(61, statusNow);

      assert.deepEqual([first, tooSoon, later], [200, 401, 200]);
      assert.deepEqual(
        clientServer.requests.map(({ path }) => path),
        ['/jwks.json', '/jwks.json'],
      );
    });

    for (const [fault, respond] of Object.entries<LoopbackServer['respond']>({
      'is down': (req) => void req.socket.destroy(),
      'answers 500': (_req, res) => void res.writeHead(500).end(),
      redirects: (_req, res) => void res.writeHead(302, { location: 'https://evil.example/' }).end(),
      'answers something else': (_req, res) => void res.end('not json'),
    })) {
      it(`refuses the client while that ${fault}`, async () => {
        clientServer.respond = respond;
        const id = await register({ jwks_uri: `${clientServer.url}/jwks.json` });

        const error = await refused(await key.assertion(id, tenant.issuer));

        assert.match(error ?? '', /^invalid_client/);
      });
    }

    it('reaches no internal address', async () => {
      const guarded = await startTestApp({ env: { GATEHOUSE_OUTBOUND_ALLOW: '10.255.255.0/24' } });
      const of = await guarded.tenant();
      clientServer.respond = (_req, res) => answerJson(res, { keys: [key.publicJwk] });
      const id = await register({ jwks_uri: `${clientServer.url}/jwks.json` }, guarded, of);

      const { status } = await send(await key.assertion(id, of.issuer), {}, of.issuer);
      await guarded.close();

      assert.equal(status, 401);
      assert.equal(clientServer.requests.length, 0);
    });
  });
});

/** The engine's clock is this process's. */
async function secondsLater<Result>(ahead: number, work: () => Promise<Result>): Promise<Result> {
  const { now } = Date;
  Date.now = () => now() + ahead * 1000;
  try {
    return await work();
  } finally {
    Date.now = now;
  }
}

function seconds(fromNow: number): number {
  return Math.floor(Date.now() / 1000) + fromNow;
}
