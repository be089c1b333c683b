import assert from 'node:assert/strict';
import { decodeJwt, importJWK, SignJWT, UnsecuredJWT } from 'jose';
import type { JWTPayload } from 'jose';
import type { PrivateJwk } from '../../src/keys/signing-key.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createAssertionKey } from '../support/assertion-key.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createMachine, introspect, isActive, tokensOf } from '../support/token-sets.ts';
import type { Machine } from '../support/token-sets.ts';

const API = 'https://api.example/';
const OTHER_API = 'https://other.example/';
const INACTIVE = { active: false };

describe('introspection of a JWT access token', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let api: Machine;
  let claims: JWTPayload;
  let keys: PrivateJwk[];
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    api = await createMachine(app, tenant);
    await app.services.resources.create(tenant.actor, {
      identifier: API,
      scopes: [{ name: 'read' }],
      introspectionClientIds: [api.clientId],
    });
    await app.services.resources.create(tenant.actor, { identifier: OTHER_API });
    const rp = await createRelyingParty(app, tenant);
    const tokens = await tokensOf(rp, { authorize: { scope: 'openid read', resource: API } });
    claims = decodeJwt(tokens.access_token);
    keys = await app.services.keys.signingJwks(tenant.tenant.id);
  });
  after(() => app.close());

  const keyOf = (alg: string) => {
    const key = keys.find((each) => each.alg === alg);
    assert.ok(key);
    return key;
  };
  const sign = async (
    changes: Record<string, unknown>,
    header: Record<string, unknown> = {},
    key = keyOf('RS256'),
  ) =>
    new SignJWT({ ...claims, ...changes })
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header })
      .sign(await importJWK(key, key.alg));
  const now = () => Math.floor(Date.now() / 1000);

  it('accepts what the tenant’s own keys signed', async () => {
    assert.equal(await isActive(api, await sign({})), true);
  });

  for (const [fault, forge] of Object.entries<() => Promise<string>>({
    'has expired': () => sign({ exp: now() - 1 }),
    'never expires': () => sign({ exp: undefined }),
    'is not valid yet': () => sign({ nbf: now() + 600 }),
    'is of another issuer': () => sign({ iss: app.url }),
    'has no issuer': () => sign({ iss: undefined }),
    'is for another API': () => sign({ aud: OTHER_API }),
    'has no audience': () => sign({ aud: undefined }),
    'has no id': () => sign({ jti: undefined }),
    'has no client': () => sign({ client_id: undefined }),
    'was issued to a client nobody knows': () => sign({ client_id: 'nobody' }),
    'belongs to a grant nobody knows': () => sign({ grant_id: 'nothing' }),
    'is typed as something else': () => sign({}, { typ: 'JWT' }),
    'is typed as a logout token': () => sign({}, { typ: 'logout+jwt' }),
    'has no type': () => sign({}, { typ: undefined }),
    'names a key of another algorithm': () => sign({}, { kid: keyOf('ES256').kid }),
    'names no known key': () => sign({}, { kid: 'unknown' }),
    'was signed by somebody else': async () =>
      (await createAssertionKey('RS256')).assertion('x', API, claims, {
        typ: 'at+jwt',
        kid: keyOf('RS256').kid,
      }),
    'was signed with the public key as a secret': () =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid: keyOf('RS256').kid, typ: 'at+jwt' })
        .sign(new TextEncoder().encode(keyOf('RS256').n)),
    'is not signed': async () =>
      new UnsecuredJWT(claims).encode().replace(/^[^.]+/, encode({ alg: 'none', typ: 'at+jwt' })),
    'was changed': async () => {
      const [header, , signature] = (await sign({})).split('.');
      return [header, encode({ ...claims, scope: 'admin' }), signature].join('.');
    },
    'lost its signature': async () => (await sign({})).replace(/[^.]+$/, ''),
    'has a fourth part': async () => `${await sign({})}.more`,
  })) {
    it(`refuses one that ${fault}`, async () => {
      assert.deepEqual(await introspect(api, await forge()), INACTIVE);
    });
  }

  it('refuses one of another tenant', async () => {
    const other = await app.tenant();
    const foreign = await createMachine(app, other);
    await app.services.resources.create(other.actor, { identifier: API });
    const { body } = await foreign.token({ resource: API });

    assert.equal(await isActive(foreign, body.access_token ?? '', { baseUrl: other.issuer }), true);
    assert.deepEqual(await introspect(api, body.access_token ?? ''), INACTIVE);
  });
});

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
