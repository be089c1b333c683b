import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JWK } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createDpopKey } from '../support/dpop.ts';
import type { DpopKey } from '../support/dpop.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createMachine, postForm, basicAuth } from '../support/token-sets.ts';
import type { Machine } from '../support/token-sets.ts';

describe('DPoP proofs (RFC 9449)', () => {
  let app: TestApp;
  let replica: TestApp;
  let tenant: TestTenant;
  let machine: Machine;
  let key: DpopKey;
  let tokenUrl: string;
  before(async () => {
    app = await startTestApp();
    replica = await startTestApp({ env: { PUBLIC_URL: app.url } });
    tenant = await app.tenant();
    machine = await createMachine(app, tenant);
    key = await createDpopKey();
    tokenUrl = `${tenant.issuer}/token`;
  });
  after(async () => {
    await replica.close();
    await app.close();
  });

  const present = (proof: string, url = tokenUrl) =>
    postForm(
      url,
      { grant_type: 'client_credentials' },
      { authorization: basicAuth(machine.clientId, machine.secret), dpop: proof },
    );

  for (const alg of ['ES256', 'RS256', 'PS256', 'EdDSA']) {
    it(`bind a token to a key: ${alg}`, async () => {
      const own = await createDpopKey(alg);

      const { status, body } = await present(await own.proof('POST', tokenUrl));

      assert.deepEqual([status, body['token_type']], [200, 'DPoP'], JSON.stringify(body));
      const { body: shown } = await machine.call('/introspect', { token: body.access_token ?? '' });
      assert.deepEqual([shown['cnf'], shown['token_type']], [{ jkt: own.jkt }, 'DPoP']);
    });
  }

  for (const [tolerated, url] of Object.entries({
    'a query': () => `${tokenUrl}?a=b`,
    'a fragment': () => `${tokenUrl}#a`,
    'a host in capitals': () => tokenUrl.replace('localhost', 'LOCALHOST'),
  })) {
    it(`may name the address with ${tolerated}`, async () => {
      const { status } = await present(await key.proof('POST', url()));

      assert.equal(status, 200);
    });
  }

  for (const [fault, make] of Object.entries<() => Promise<string>>({
    'is for another method': () => key.proof('GET', tokenUrl),
    'is for a method in lower case': () => key.proof('post', tokenUrl),
    'is for another endpoint': () => key.proof('POST', `${tenant.issuer}/userinfo`),
    'is for the endpoint of another tenant': () => key.proof('POST', `${app.url}/token`),
    'is for another host': () => key.proof('POST', tokenUrl.replace('localhost', 'evil.example')),
    'is for another scheme': () => key.proof('POST', tokenUrl.replace('http:', 'https:')),
    'is for another port': () => key.proof('POST', tokenUrl.replace(/:\d+/, ':1')),
    'names the address it was really sent to': () =>
      key.proof('POST', `http://127.0.0.1:${app.config.port}/t/${tenant.tenant.slug}/token`),
    'has a longer path': () => key.proof('POST', `${tokenUrl}/`),
    'has no method': () => proofWith({ htm: undefined }),
    'has no address': () => proofWith({ htu: undefined }),
    'has an address that is none': () => proofWith({ htu: 'token' }),
    'has no time': () => proofWith({ iat: undefined }),
    'has a time that is text': () => proofWith({ iat: String(seconds(0)) }),
    'is too old': () => proofWith({ iat: seconds(-330) }),
    'is from too far in the future': () => proofWith({ iat: seconds(330) }),
    'has no id': () => proofWith({ jti: undefined }),
    'has an empty id': () => proofWith({ jti: '' }),
    'has an id that is no text': () => proofWith({ jti: 7 }),
    'has a nonce nobody gave': () => proofWith({ nonce: 'made-up' }),
    'has a nonce that is no text': () => proofWith({ nonce: 7 }),
    'is typed as a JWT': () => key.proof('POST', tokenUrl, { header: { typ: 'JWT' } }),
    'has no type': () => key.proof('POST', tokenUrl, { header: { typ: undefined } as never }),
    'shows no key': () => key.proof('POST', tokenUrl, { header: { jwk: undefined } as never }),
    'shows another key': async () =>
      key.proof('POST', tokenUrl, {
        header: { jwk: await exportJWK((await generateKeyPair('ES256')).publicKey) },
      }),
    'shows its private key': async () => {
      const { privateKey } = await generateKeyPair('ES256', { extractable: true });
      return signed(privateKey, 'ES256', await exportJWK(privateKey));
    },
    'is signed with a shared secret': () =>
      signed(new Uint8Array(32), 'HS256', { kty: 'oct', k: Buffer.alloc(32).toString('base64url') }),
    'is not signed': async () => {
      const [, payload] = (await key.proof('POST', tokenUrl)).split('.');
      return `${encode({ alg: 'none', typ: 'dpop+jwt' })}.${payload}.`;
    },
    'was changed': async () => {
      const [header, , signature] = (await key.proof('POST', tokenUrl)).split('.');
      return `${header}.${encode({ htm: 'POST', htu: tokenUrl, iat: seconds(0), jti: 'b' })}.${signature}`;
    },
    'is none': async () => 'nonsense',
    'is two': async () => `${await key.proof('POST', tokenUrl)}, ${await key.proof('POST', tokenUrl)}`,
  })) {
    it(`are refused: one that ${fault}`, async () => {
      const { status, body } = await present(await make());

      assert.equal(status, 400, JSON.stringify(body));
      assert.match(body.error ?? '', /^(invalid_dpop_proof|use_dpop_nonce)$/);
      assert.equal(body.access_token, undefined);
    });
  }

  it('are used once, on whatever replica', async () => {
    const proof = await key.proof('POST', tokenUrl);
    const elsewhere = `http://127.0.0.1:${replica.config.port}/t/${tenant.tenant.slug}/token`;

    const statuses = [
      (await present(proof)).status,
      (await present(proof)).status,
      (await present(proof, elsewhere)).status,
    ];

    assert.deepEqual(statuses, [200, 400, 400]);
  });

  it('are known by their id, however else they differ', async () => {
    const jti = randomUUID();

    const first = await present(await proofWith({ jti }));
    const second = await present(await proofWith({ jti, iat: seconds(-5) }));

    assert.deepEqual([first.status, second.status], [200, 400]);
  });

  it('stay known for as long as they are acceptable, also when dated ahead', async () => {
    const dated = seconds(290);

    const { status } = await present(await proofWith({ iat: dated }));

    const [latest] = await app
      .db('replay_ids')
      .where({ tenant_id: tenant.tenant.id })
      .orderBy('created_at', 'desc');
    assert.equal(status, 200);
    assert.ok(latest.expires_at.getTime() / 1000 > dated + 300);
  });

  describe('of a public client', () => {
    it('need the server’s nonce, which the refusal brings and which costs nothing', async () => {
      const spa = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
      const { code = '' } = await spa.signIn();
      const redeem = async (nonce?: string) =>
        spa.redeem(code, {}, { dpop: await key.proof('POST', tokenUrl, nonce ? { nonce } : {}) });

      const without = await redeem();
      const nonce = without.headers.get('dpop-nonce') ?? '';
      const made = await redeem('made-up');
      const withIt = await redeem(nonce);

      assert.deepEqual([without.status, without.body.error], [400, 'use_dpop_nonce']);
      assert.match(nonce, /^[\w-]{20,}$/);
      assert.deepEqual([made.status, made.body.error], [400, 'use_dpop_nonce']);
      assert.deepEqual(
        [withIt.status, withIt.body['token_type']],
        [200, 'DPoP'],
        JSON.stringify(withIt.body),
      );
    });

    it('are read by scripts of its own origin, nonce included', async () => {
      const spa = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
      const { code = '' } = await spa.signIn();

      const { headers } = await spa.redeem(
        code,
        {},
        { dpop: await key.proof('POST', tokenUrl), origin: 'https://app.example' },
      );

      assert.equal(headers.get('access-control-allow-origin'), 'https://app.example');
      assert.match(headers.get('access-control-expose-headers') ?? '', /dpop-nonce/i);
    });

    it('take a nonce of any replica, but of no other tenant', async () => {
      const spa = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
      const other = await app.tenant();
      const stranger = await createRelyingParty(app, other, {
        metadata: { token_endpoint_auth_method: 'none' },
      });
      const { code = '' } = await spa.signIn();
      const foreign = await stranger.redeem(
        'x',
        {},
        { dpop: await key.proof('POST', `${other.issuer}/token`) },
      );
      const elsewhere = { baseUrl: `http://127.0.0.1:${replica.config.port}/t/${tenant.tenant.slug}` };
      const asked = await spa.token(
        { grant_type: 'refresh_token', refresh_token: 'x' },
        { ...elsewhere, headers: { dpop: await key.proof('POST', tokenUrl) } },
      );
      const use = async (nonce: string | null) =>
        spa.redeem(code, {}, { dpop: await key.proof('POST', tokenUrl, { nonce: nonce ?? '' }) });

      const withForeign = await use(foreign.headers.get('dpop-nonce'));
      const withReplicas = await use(asked.headers.get('dpop-nonce'));

      assert.equal(withForeign.body.error, 'use_dpop_nonce');
      assert.equal(withReplicas.status, 200, JSON.stringify(withReplicas.body));
    });
  });

  function proofWith(claims: Record<string, unknown>): Promise<string> {
    return key.proof('POST', tokenUrl, { claims });
  }

  function signed(secret: Parameters<SignJWT['sign']>[0], alg: string, jwk: JWK): Promise<string> {
    return new SignJWT({ htm: 'POST', htu: tokenUrl, iat: seconds(0), jti: randomUUID() })
      .setProtectedHeader({ alg, typ: 'dpop+jwt', jwk })
      .sign(secret);
  }
});

function seconds(fromNow: number): number {
  return Math.floor(Date.now() / 1000) + fromNow;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
