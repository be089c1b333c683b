import assert from 'node:assert/strict';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { rawRequest } from '../support/raw-request.ts';

describe('metadata and JWKS', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  const get = async (url: string) => (await (await fetch(url)).json()) as Record<string, unknown>;
  const getKeys = async (issuer: string) => (await get(`${issuer}/jwks`))['keys'] as Record<string, string>[];
  const oauthUrl = () => {
    const { origin, pathname } = new URL(tenant.issuer);
    return `${origin}/.well-known/oauth-authorization-server${pathname}`;
  };

  it('publishes both documents of the default tenant at the root', async () => {
    const [openid, oauth] = await Promise.all([
      get(`${app.url}/.well-known/openid-configuration`),
      get(`${app.url}/.well-known/oauth-authorization-server`),
    ]);

    assert.equal(openid['issuer'], app.url);
    assert.equal(openid['token_endpoint'], `${app.url}/token`);
    assert.deepEqual(oauth, openid);
  });

  it('says whether people may sign up (Initiating User Registration 1.0 §4.1)', async () => {
    const closed = await app.tenant();
    await app.services.tenants.update(closed.actor, closed.tenant.slug, { settings: { signUp: 'off' } });

    const [open, off] = await Promise.all(
      [tenant, closed].map(({ issuer }) => get(`${issuer}/.well-known/openid-configuration`)),
    );

    const prompts = ['none', 'login', 'consent', 'select_account'];
    assert.deepEqual(open?.['prompt_values_supported'], [...prompts, 'create']);
    assert.deepEqual(off?.['prompt_values_supported'], prompts);
  });

  it('publishes both documents of another tenant, the OAuth one with its path inserted', async () => {
    const [openid, oauth] = await Promise.all([
      get(`${tenant.issuer}/.well-known/openid-configuration`),
      get(oauthUrl()),
    ]);

    assert.equal(openid['issuer'], tenant.issuer);
    assert.deepEqual(oauth, openid);
  });

  it('has no document for a tenant that does not exist', async () => {
    const responses = await Promise.all([
      fetch(`${app.url}/t/nobody/.well-known/openid-configuration`),
      fetch(`${app.url}/.well-known/oauth-authorization-server/t/nobody`),
      fetch(`${app.url}/.well-known/oauth-authorization-server/t/default`),
    ]);

    assert.deepEqual(
      responses.map(({ status }) => status),
      [404, 404, 404],
    );
  });

  it('names the endpoints by the field’s names, below the issuer', async () => {
    const document = await get(`${tenant.issuer}/.well-known/openid-configuration`);

    const endpoints = Object.fromEntries(
      Object.entries(document).filter(([name]) => name.endsWith('_endpoint') || name === 'jwks_uri'),
    );
    assert.deepEqual(endpoints, {
      authorization_endpoint: `${tenant.issuer}/authorize`,
      token_endpoint: `${tenant.issuer}/token`,
      userinfo_endpoint: `${tenant.issuer}/userinfo`,
      jwks_uri: `${tenant.issuer}/jwks`,
      introspection_endpoint: `${tenant.issuer}/introspect`,
      revocation_endpoint: `${tenant.issuer}/revoke`,
      pushed_authorization_request_endpoint: `${tenant.issuer}/par`,
      end_session_endpoint: `${tenant.issuer}/logout`,
    });
  });

  it('advertises what works and nothing else', async () => {
    const document = await get(`${tenant.issuer}/.well-known/openid-configuration`);

    const said = (name: string) => document[name];
    const listed = (name: string) => new Set(document[name] as string[]);
    assert.deepEqual(said('response_types_supported'), ['code']);
    assert.deepEqual(said('code_challenge_methods_supported'), ['S256']);
    assert.deepEqual(said('subject_types_supported'), ['public']);
    assert.deepEqual(
      listed('grant_types_supported'),
      new Set(['authorization_code', 'client_credentials', 'refresh_token']),
    );
    assert.deepEqual(
      listed('token_endpoint_auth_methods_supported'),
      new Set(['client_secret_basic', 'client_secret_post', 'none', 'private_key_jwt']),
    );
    assert.deepEqual(said('id_token_signing_alg_values_supported'), ['RS256', 'ES256', 'EdDSA']);
    assert.deepEqual(listed('response_modes_supported'), new Set(['form_post', 'fragment', 'query']));
    assert.equal(said('authorization_response_iss_parameter_supported'), true);
    assert.equal(said('request_uri_parameter_supported'), false);
    assert.notEqual(said('request_parameter_supported'), true);
    assert.equal(said('backchannel_logout_supported'), true);
    assert.equal(said('backchannel_logout_session_supported'), true);
    assert.equal(said('registration_endpoint'), undefined);
    assert.equal(said('device_authorization_endpoint'), undefined);
  });

  it('offers no symmetric algorithm and none without a signature', async () => {
    const document = await get(`${tenant.issuer}/.well-known/openid-configuration`);

    const algorithms = Object.entries(document).flatMap(([name, value]) =>
      name.includes('alg_values') ? (value as string[]) : [],
    );
    assert.ok(algorithms.length > 0);
    assert.deepEqual(
      algorithms.filter((alg) => alg === 'none' || alg.startsWith('HS')),
      [],
    );
  });

  for (const path of ['/.well-known/openid-configuration', '/jwks']) {
    it(`lets ${path} be cached, and answers 304 to whoever has it`, async () => {
      const first = await fetch(`${tenant.issuer}${path}`);

      const etag = first.headers.get('etag') ?? '';
      const second = await rawRequest(app.url, new URL(`${tenant.issuer}${path}`).pathname, {
        headers: { 'if-none-match': etag },
      });

      assert.match(first.headers.get('cache-control') ?? '', /public, max-age=300/);
      assert.match(etag, /^"[\w-]+"$/);
      assert.equal(second.status, 304);
      assert.equal(second.text, '');
    });

    it(`compresses ${path} for whoever takes it`, async () => {
      const { pathname } = new URL(`${tenant.issuer}${path}`);
      const [plain, zipped, brotli] = await Promise.all(
        ['identity', 'gzip', 'br'].map((encoding) =>
          rawRequest(app.url, pathname, { headers: { 'accept-encoding': encoding } }),
        ),
      );

      assert.equal(plain?.headers['content-encoding'], undefined);
      assert.equal(zipped?.headers['content-encoding'], 'gzip');
      assert.equal(gunzipSync(zipped?.body ?? '').toString(), plain?.text);
      assert.equal(brotliDecompressSync(brotli?.body ?? '').toString(), plain?.text);
      assert.match(String(plain?.headers['vary']), /accept-encoding/i);
    });

    it(`lets scripts of any origin read ${path}`, async () => {
      const response = await fetch(`${tenant.issuer}${path}`, { headers: { origin: 'https://spa.example' } });

      assert.equal(response.headers.get('access-control-allow-origin'), '*');
      assert.equal(response.headers.get('access-control-allow-credentials'), null);
    });
  }

  it('publishes the public half of the current and the next key of each algorithm', async () => {
    const keys = await getKeys(tenant.issuer);

    const registered = await app.services.keys.list(tenant.tenant.id);
    assert.deepEqual(new Set(keys.map(({ kid }) => kid)), new Set(registered.map(({ kid }) => kid)));
    assert.deepEqual(
      ['RS256', 'ES256', 'EdDSA'].map((alg) => keys.filter((key) => key['alg'] === alg).length),
      [2, 2, 2],
    );
    assert.equal(keys.length, 6);
    assert.ok(keys.every(({ use }) => use === 'sig'));
  });

  it('publishes no private member of any key', async () => {
    const keys = await getKeys(tenant.issuer);

    const members = new Set(keys.flatMap((key) => Object.keys(key)));
    assert.deepEqual(
      ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'].filter((member) => members.has(member)),
      [],
    );
  });

  it('has keys of its own for every tenant', async () => {
    const other = await app.tenant();

    const [mine, theirs] = await Promise.all([getKeys(tenant.issuer), getKeys(other.issuer)]);

    const kids = new Set(mine.map(({ kid }) => kid));
    assert.ok(theirs.every(({ kid }) => !kids.has(kid)));
  });
});
