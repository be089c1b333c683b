import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';

const WEB = { redirect_uris: ['https://app.example.com/cb'] };
const SERVICE = { grant_types: ['client_credentials'] };

const parse = (given: Record<string, unknown>) => parseClientMetadata(given, { allowLocalHttp: false });
const pathsOf = (given: Record<string, unknown>) => (parse(given).errors ?? []).map(({ path }) => path);
const messagesOf = (given: Record<string, unknown>) =>
  (parse(given).errors ?? []).map(({ path, message }) => `${path} ${message}`).join('\n');

function publicJwk(): Record<string, unknown> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'ES256' };
}

describe('client metadata', () => {
  it('completes a web application: code flow, secret by Basic', () => {
    const { metadata } = parse(WEB);

    assert.deepEqual(metadata, {
      application_type: 'web',
      redirect_uris: ['https://app.example.com/cb'],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    });
  });

  it('completes a native application: no secret', () => {
    const { metadata } = parse({ application_type: 'native', redirect_uris: ['com.example.app:/cb'] });

    assert.equal(metadata?.token_endpoint_auth_method, 'none');
  });

  it('completes a service: no redirects, no response type', () => {
    const { metadata } = parse(SERVICE);

    assert.deepEqual(metadata?.response_types, []);
    assert.deepEqual(metadata?.redirect_uris, []);
  });

  it('keeps everything that is allowed', () => {
    const given = {
      ...WEB,
      application_type: 'web',
      post_logout_redirect_uris: ['https://app.example.com/bye'],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      response_types: ['code'],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [publicJwk()] },
      scope: 'openid profile orders:read',
      id_token_signed_response_alg: 'EdDSA',
      default_max_age: 3600,
      require_auth_time: true,
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
      backchannel_logout_uri: 'https://app.example.com/logout',
      backchannel_logout_session_required: true,
      initiate_login_uri: 'https://app.example.com/login',
      client_uri: 'https://app.example.com',
      logo_uri: 'https://app.example.com/logo.svg',
      policy_uri: 'https://app.example.com/privacy',
      tos_uri: 'https://app.example.com/terms',
      contacts: ['owner@example.com'],
    };

    assert.deepEqual(parse(given), { metadata: given });
  });

  for (const [name, given, path] of [
    ['the implicit flow', { ...WEB, response_types: ['token'] }, '/response_types/0'],
    ['the hybrid flow', { ...WEB, response_types: ['code id_token'] }, '/response_types/0'],
    ['the implicit grant', { ...WEB, grant_types: ['implicit'] }, '/grant_types/0'],
    ['the password grant', { ...WEB, grant_types: ['authorization_code', 'password'] }, '/grant_types/1'],
    ['no grant at all', { ...WEB, grant_types: [] }, '/grant_types'],
    [
      'ID tokens signed with a secret',
      { ...WEB, id_token_signed_response_alg: 'HS256' },
      '/id_token_signed_response_alg',
    ],
    ['unsigned ID tokens', { ...WEB, id_token_signed_response_alg: 'none' }, '/id_token_signed_response_alg'],
    [
      'assertions signed with a secret',
      { ...WEB, token_endpoint_auth_method: 'client_secret_jwt' },
      '/token_endpoint_auth_method',
    ],
    ['the code flow without a redirect URI', {}, '/redirect_uris'],
    ['redirect URIs without the code flow', { ...SERVICE, ...WEB }, '/redirect_uris'],
    ['refresh tokens without the code flow', { grant_types: ['refresh_token'] }, '/grant_types'],
    [
      'client credentials of a client without credentials',
      { ...SERVICE, token_endpoint_auth_method: 'none' },
      '/token_endpoint_auth_method',
    ],
    ['private_key_jwt without keys', { ...WEB, token_endpoint_auth_method: 'private_key_jwt' }, '/jwks'],
    [
      'the same redirect URI twice',
      { redirect_uris: [...WEB.redirect_uris, ...WEB.redirect_uris] },
      '/redirect_uris',
    ],
    ['scopes with double spaces', { ...WEB, scope: 'openid  email' }, '/scope'],
    ['a contact that is no address', { ...WEB, contacts: ['me'] }, '/contacts/0'],
    ['keys fetched without https', { ...WEB, jwks_uri: 'http://app.example.com/jwks' }, '/jwks_uri'],
    ['a logo that is script', { ...WEB, logo_uri: 'javascript:alert(1)' }, '/logo_uri'],
    [
      'back-channel logout settings without its address',
      { ...WEB, backchannel_logout_session_required: true },
      '/backchannel_logout_session_required',
    ],
    ['text where a list belongs', { redirect_uris: 'https://app.example.com/cb' }, '/redirect_uris'],
    ['an object where text belongs', { redirect_uris: [{ a: 1 }] }, '/redirect_uris/0'],
  ] as const) {
    it(`refuses ${name}, pointing at it`, () => {
      assert.deepEqual(pathsOf(given), [path]);
    });
  }

  it('reports every fault, not only the first', () => {
    const paths = pathsOf({
      redirect_uris: ['https://ok.example.com/cb', 'http://app.example.com/cb', 'https://app.example.com/#'],
      logo_uri: 'x',
      backchannel_logout_session_required: true,
    });

    assert.deepEqual(paths, [
      '/redirect_uris/1',
      '/redirect_uris/2',
      '/logo_uri',
      '/backchannel_logout_session_required',
    ]);
  });

  it('says which name was meant where it does not know one', () => {
    assert.match(messagesOf({ ...WEB, redirectUris: [] }), /^\/redirectUris .*did you mean redirect_uris/);
    assert.match(messagesOf({ ...WEB, 'grant-type': [] }), /^\/grant-type .*did you mean grant_types/);
    assert.match(messagesOf({ ...WEB, client_secret: 'x' }), /Gatehouse makes the secrets itself/);
    assert.match(messagesOf({ ...WEB, colour: 'red' }), /^\/colour .*it knows application_type, /);
  });

  it('escapes a key that contains a slash or a tilde in its pointer (RFC 6901)', () => {
    assert.deepEqual(pathsOf({ ...WEB, 'a/b~c': 1 }), ['/a~1b~0c']);
  });

  it('refuses __proto__ and constructor as keys', () => {
    const given = JSON.parse(
      '{"redirect_uris":["https://app.example.com/cb"],"__proto__":{"a":1},"constructor":1}',
    );

    assert.deepEqual(pathsOf(given).toSorted(), ['/__proto__', '/constructor']);
    assert.equal(Object.hasOwn(Object.prototype, 'a'), false);
  });
});

describe('the keys of a client', () => {
  const withKeys = (keys: unknown) => ({
    ...WEB,
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys },
  });

  it('are accepted as public RSA, EC and Ed25519 keys', () => {
    const keys = [
      publicJwk(),
      generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }),
      generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }),
    ];

    assert.deepEqual(pathsOf(withKeys(keys)), []);
  });

  it('are refused where one is private, because it has been disclosed', () => {
    const { privateKey } = generateKeyPairSync('ed25519');

    assert.match(
      messagesOf(withKeys([privateKey.export({ format: 'jwk' })])),
      /^\/jwks\/keys\/0 .*private key/,
    );
  });

  it('are refused where one is a shared secret, too short, broken, or used twice', () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });

    assert.deepEqual(pathsOf(withKeys([{ kty: 'oct', k: 'c2VjcmV0' }])), ['/jwks/keys/0/kty']);
    assert.match(messagesOf(withKeys([short])), /at least 2048 bits/);
    assert.match(
      messagesOf(withKeys([{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }])),
      /not a valid public key/,
    );
    assert.match(
      messagesOf(withKeys([publicJwk(), publicJwk()])),
      /^\/jwks\/keys\/1\/kid is used by another key/,
    );
    assert.deepEqual(pathsOf(withKeys([])), ['/jwks/keys']);
  });

  it('are given in one way only', () => {
    const both = { ...withKeys([publicJwk()]), jwks_uri: 'https://app.example.com/jwks' };

    assert.deepEqual(pathsOf(both), ['/jwks_uri']);
  });
});
