import assert from 'node:assert/strict';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { TokenResponse } from '../support/relying-party.ts';
import { createMachine, introspect } from '../support/token-sets.ts';
import type { Machine } from '../support/token-sets.ts';

const API = 'https://api.example/';

describe('client credentials', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let machine: Machine;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    machine = await createMachine(app, tenant);
    await resource(API, { scopes: [{ name: 'read' }, { name: 'write' }] });
    await resource('https://es.example/', { signingAlg: 'ES256' });
    await resource('https://ed.example/', { signingAlg: 'EdDSA' });
    await resource('https://opaque.example/', {
      accessTokenFormat: 'opaque',
      scopes: [{ name: 'read' }],
    });
    await resource('https://brief.example/', { accessTokenTtlSeconds: 30 });
    await resource('https://brief-opaque.example/', {
      accessTokenFormat: 'opaque',
      accessTokenTtlSeconds: 30,
    });
  });
  after(() => app.close());

  const resource = (identifier: string, fields: object, of = tenant) =>
    app.services.resources.create(of.actor, { identifier, ...fields });

  async function issued(
    params: Record<string, string>,
    from = machine,
  ): Promise<TokenResponse['body'] & { access_token: string }> {
    const { status, body } = await from.token(params);
    assert.equal(status, 200, JSON.stringify(body));
    return { ...body, access_token: body.access_token ?? '' };
  }

  it('gives a JWT for a resource with the claims of RFC 9068', async () => {
    const { access_token: token, ...rest } = await issued({ resource: API, scope: 'read' });

    const { aud, iss, sub, client_id: clientId, scope, jti, iat, exp, ...others } = decodeJwt(token);
    assert.deepEqual(
      { aud, iss, sub, clientId, scope },
      { aud: API, iss: tenant.issuer, sub: machine.clientId, clientId: machine.clientId, scope: 'read' },
    );
    assert.match(jti ?? '', /^[\w-]{20,}$/);
    assert.equal((exp ?? 0) - (iat ?? 0), 600);
    assert.deepEqual(others, { tenant_id: tenant.tenant.id });
    assert.equal(decodeProtectedHeader(token).typ, 'at+jwt');
    assert.deepEqual(rest, { expires_in: 600, scope: 'read', token_type: 'Bearer' });
  });

  for (const [identifier, alg] of Object.entries({
    [API]: 'RS256',
    'https://es.example/': 'ES256',
    'https://ed.example/': 'EdDSA',
  })) {
    it(`signs for ${identifier} with ${alg}, verifiable with the published keys`, async () => {
      const { access_token: token } = await issued({ resource: identifier });

      const jwks = (await (await fetch(`${tenant.issuer}/jwks`)).json()) as JSONWebKeySet;
      const { protectedHeader } = await jwtVerify(token, createLocalJWKSet(jwks), {
        issuer: tenant.issuer,
        audience: identifier,
        typ: 'at+jwt',
      });
      assert.equal(protectedHeader.alg, alg);
    });
  }

  it('never gives two tokens the same id', async () => {
    const tokens = await Promise.all([1, 2, 3].map(() => issued({ resource: API })));

    assert.equal(new Set(tokens.map((token) => decodeJwt(token.access_token).jti)).size, 3);
  });

  it('gives an opaque token for a resource that wants one', async () => {
    const { access_token: token } = await issued({ resource: 'https://opaque.example/', scope: 'read' });

    assert.match(token, /^ct_[\w-]{45}$/);
    const { active, aud, scope, client_id: clientId } = await introspect(machine, token);
    assert.deepEqual(
      { active, aud, scope, clientId },
      { active: true, aud: 'https://opaque.example/', scope: 'read', clientId: machine.clientId },
    );
  });

  it('gives an opaque token without audience when no resource is named', async () => {
    const { access_token: token } = await issued({});

    const { active, aud } = await introspect(machine, token);
    assert.match(token, /^ct_/);
    assert.deepEqual({ active, aud }, { active: true, aud: undefined });
  });

  for (const identifier of ['https://brief.example/', 'https://brief-opaque.example/']) {
    it(`lets tokens live as long as the resource says: ${identifier}`, async () => {
      const { access_token: token, expires_in: expiresIn } = await issued({ resource: identifier });

      const { exp, iat } = (await introspect(machine, token)) as { exp: number; iat: number };
      assert.equal(expiresIn, 30);
      assert.equal(exp - iat, 30);
    });
  }

  it('lets tokens live as long as the operator says', async () => {
    const brief = await startTestApp({
      env: { GATEHOUSE_ACCESS_TOKEN_TTL_SECONDS: '20', PUBLIC_URL: app.url },
    });

    const { body } = await machine.token(
      { resource: API },
      { baseUrl: `http://127.0.0.1:${brief.config.port}/t/${tenant.tenant.slug}` },
    );
    await brief.close();

    assert.equal(body['expires_in'], 20);
  });

  it('gives neither a refresh token nor an ID token', async () => {
    const tokens = await issued({ resource: API, scope: 'openid offline_access read' });

    assert.equal(tokens.refresh_token, undefined);
    assert.equal(tokens.id_token, undefined);
    assert.equal(tokens.scope, 'read');
  });

  it('gives the default scope for the default resource to a request that names neither', async () => {
    const set = await createMachine(app, tenant, { defaultScope: 'read write', defaultResource: API });

    const { access_token: token, scope } = await issued({}, set);

    assert.equal(decodeJwt(token).aud, API);
    assert.equal(scope, 'read write');
  });

  it('lets a request say something else than the defaults', async () => {
    const set = await createMachine(app, tenant, { defaultScope: 'read write', defaultResource: API });

    const { access_token: token, scope } = await issued(
      { scope: 'read', resource: 'https://opaque.example/' },
      set,
    );

    assert.match(token, /^ct_/);
    assert.equal(scope, 'read');
  });

  it('gives no scope to a client without a default that asks for none', async () => {
    const { access_token: token, scope } = await issued({ resource: API });

    assert.equal(scope, undefined);
    assert.equal(decodeJwt(token)['scope'], undefined);
  });

  it('gives only scopes the resource has', async () => {
    const { scope } = await issued({ resource: API, scope: 'read delete' });

    assert.equal(scope, 'read');
  });

  it('refuses scopes beyond those the client may ask for', async () => {
    const limited = await createMachine(app, tenant, { metadata: { scope: 'read' } });

    const beyond = await limited.token({ resource: API, scope: 'read write' });
    const within = await limited.token({ resource: API, scope: 'read' });

    assert.deepEqual([beyond.status, beyond.body.error], [400, 'invalid_scope']);
    assert.deepEqual([within.status, within.body.scope], [200, 'read']);
  });

  for (const identifier of [
    'https://unknown.example/',
    'https://api.example',
    'https://api.example/v1',
    'HTTPS://api.example/',
    'https://api.example/#part',
    'api.example',
    '',
    '__proto__',
  ]) {
    it(`has invalid_target for a resource nobody registered: "${identifier}"`, async () => {
      const { status, body } = await machine.token({ resource: identifier });

      if (identifier === '') assert.match(body.access_token ?? '', /^ct_/);
      else assert.deepEqual([status, body.error], [400, 'invalid_target']);
    });
  }

  it('has invalid_target for two resources at once', async () => {
    const form = new URLSearchParams({ grant_type: 'client_credentials', resource: API });
    form.append('resource', 'https://es.example/');

    const response = await fetch(`${tenant.issuer}/token`, {
      method: 'POST',
      body: form,
      headers: {
        authorization: `Basic ${Buffer.from(`${machine.clientId}:${machine.secret}`).toString('base64')}`,
      },
    });

    assert.deepEqual([response.status, JSON.parse(await response.text()).error], [400, 'invalid_target']);
  });

  it('has invalid_target for a resource of another tenant', async () => {
    const other = await app.tenant();
    await resource('https://foreign.example/', {}, other);

    const { body } = await machine.token({ resource: 'https://foreign.example/' });

    assert.equal(body.error, 'invalid_target');
  });

  it('takes over what changes about a resource', async () => {
    await resource('https://changing.example/', {});
    await issued({ resource: 'https://changing.example/' });

    await app.services.resources.update(tenant.actor, 'https://changing.example/', { signingAlg: 'ES256' });
    await app.registry.refresh();
    const changed = await issued({ resource: 'https://changing.example/' });
    await app.services.resources.delete(tenant.actor, 'https://changing.example/');
    await app.registry.refresh();
    const { body } = await machine.token({ resource: 'https://changing.example/' });

    assert.equal(decodeProtectedHeader(changed.access_token).alg, 'ES256');
    assert.equal(body.error, 'invalid_target');
  });

  it('are refused to a client that is not registered for them', async () => {
    const rp = await createRelyingParty(app, tenant);

    const { status, body } = await rp.token({ grant_type: 'client_credentials' });

    assert.deepEqual([status, body.error], [400, 'invalid_request']);
    assert.equal(body.access_token, undefined);
  });

  for (const grantType of [
    'password',
    'implicit',
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    '__proto__',
    '',
  ]) {
    it(`is one of the grants there are; "${grantType}" is not`, async () => {
      const { status, body } = await machine.token({ grant_type: grantType, username: 'a', password: 'b' });

      assert.equal(status, 400);
      assert.match(body.error ?? '', /^(unsupported_grant_type|invalid_request|unauthorized_client)$/);
    });
  }

  it('are kept out of caches', async () => {
    const { headers } = await machine.token();

    assert.equal(headers.get('cache-control'), 'no-store');
  });
});
