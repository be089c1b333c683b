import assert from 'node:assert/strict';
import { cliBench } from './support.ts';
import type { CliBench } from './support.ts';

const API = 'https://api.example.com/orders';

describe('gatehouse resource', () => {
  let cli: CliBench;

  before(async () => {
    cli = await cliBench();
  });

  after(async () => {
    await cli.close();
  });

  it('creates a resource with scopes, token settings and its introspection client', async () => {
    await cli.json([
      'client',
      'create',
      'orders-api',
      '--name',
      'Orders',
      '--grant-type',
      'client_credentials',
    ]);

    const created = await cli.json([
      'resource',
      'create',
      API,
      '--name',
      'Orders',
      '--scope',
      'orders:read=See your orders',
      '--scope',
      'orders:write',
      '--ttl',
      '300',
      '--signing-alg',
      'ES256',
      '--introspection-client',
      'orders-api',
    ]);

    assert.partialDeepStrictEqual(created, {
      identifier: API,
      name: 'Orders',
      scopes: [
        { name: 'orders:read', description: 'See your orders' },
        { name: 'orders:write', description: '' },
      ],
      access_token_format: 'jwt',
      access_token_ttl_seconds: 300,
      signing_alg: 'ES256',
      introspection_client_ids: ['orders-api'],
    });
    assert.deepEqual(await cli.json(['resource', 'show', API]), created);
  });

  it('refuses a bad identifier, a scope of OpenID Connect and one that is taken', async () => {
    await cli.json(['resource', 'create', 'urn:taken']);

    const relative = await cli.refusal(['resource', 'create', 'orders']);
    const scope = await cli.refusal(['resource', 'create', 'urn:new', '--scope', 'email']);
    const taken = await cli.refusal(['resource', 'create', 'urn:taken']);

    assert.equal(relative.code, 'resource.invalid');
    assert.deepEqual(
      relative.errors.map(({ path }) => path),
      ['/identifier'],
    );
    assert.equal(scope.errors[0]?.path, '/scopes/0/name');
    assert.equal(taken.code, 'resource.identifier_taken');
    assert.equal((await cli.refusal(['resource', 'create', 'urn:x', '--ttl', '5'])).exitCode, 2);
  });

  it('changes what is given, and goes back to defaults', async () => {
    await cli.json([
      'resource',
      'create',
      'urn:change',
      '--ttl',
      '60',
      '--scope',
      'a',
      '--signing-alg',
      'EdDSA',
    ]);

    const opaque = await cli.json([
      'resource',
      'update',
      'urn:change',
      '--format',
      'opaque',
      '--ttl',
      'default',
    ]);
    const bare = await cli.json(['resource', 'update', 'urn:change', '--clear-scopes']);

    assert.partialDeepStrictEqual(opaque, {
      access_token_format: 'opaque',
      access_token_ttl_seconds: null,
      signing_alg: null,
      scopes: [{ name: 'a' }],
    });
    assert.deepEqual(bare.scopes, []);
    assert.equal((await cli.refusal(['resource', 'update', 'urn:change'])).exitCode, 2);
    assert.equal(
      (await cli.refusal(['resource', 'update', 'urn:change', '--signing-alg', 'HS256'])).code,
      'resource.invalid',
    );
  });

  it('lists and deletes', async () => {
    await cli.json(['resource', 'create', 'urn:gone']);

    const before = await cli.json(['resource', 'list']);
    const deleted = await cli.json(['resource', 'delete', 'urn:gone']);
    const after = await cli.json(['resource', 'list']);

    const identifiers = (page: { resources: { identifier: string }[] }) =>
      page.resources.map(({ identifier }) => identifier);
    assert.deepEqual(deleted, { identifier: 'urn:gone', deleted: true });
    assert.ok(identifiers(before).includes('urn:gone'));
    assert.equal(identifiers(after).includes('urn:gone'), false);
  });

  for (const verb of ['show', 'delete']) {
    it(`answers not found to ${verb} for a resource that is not there`, async () => {
      assert.equal((await cli.refusal(['resource', verb, 'urn:nothing'])).code, 'resource.not_found');
    });
  }
});
