import assert from 'node:assert/strict';
import type { Actor } from '../../src/http/actor.ts';
import { AppError } from '../../src/lib/errors.ts';
import { createResourceService } from '../../src/resources/resource-service.ts';
import { newTenant, testDb } from '../support/database.ts';

const API = 'https://api.example.com/orders';

async function setUp() {
  const db = await testDb();
  const { id: tenantId } = await newTenant(db);
  const resources = createResourceService({
    db,
    now: () => new Date(),
    clientExists: async (_db, _tenant, clientId) => clientId.startsWith('known'),
  });
  const actor: Actor = { tenantId, type: 'operator' };
  const events = () =>
    db('events').where({ tenant_id: tenantId }).orderBy('id').select('type', 'target_id', 'data');
  const version = async (): Promise<number> =>
    (await db('tenants').where({ id: tenantId }).first('config_version')).config_version;
  return { db, actor, resources, events, version };
}

const refusal = (code: string, path?: string) => (err: unknown) => {
  assert.ok(err instanceof AppError);
  assert.equal(err.code, code);
  if (path) assert.equal(err.errors[0]?.path, path);
  return true;
};

describe('registering a resource', () => {
  it('completes it with defaults, records an event and raises the configuration version', async () => {
    const { actor, resources, events, version } = await setUp();
    const before = await version();

    const resource = await resources.create(actor, { identifier: API, scopes: [{ name: 'orders:read' }] });

    assert.partialDeepStrictEqual(resource, {
      identifier: API,
      name: API,
      scopes: [{ name: 'orders:read', description: '' }],
      accessTokenFormat: 'jwt',
      accessTokenTtlSeconds: null,
      signingAlg: null,
      introspectionClientIds: [],
    });
    assert.deepEqual(await resources.get(actor, API), resource);
    const [event] = await events();
    assert.equal(event.type, 'resource.created');
    assert.equal(event.target_id, API);
    assert.equal(await version(), before + 1);
  });

  it('keeps everything that is allowed', async () => {
    const { actor, resources } = await setUp();

    const resource = await resources.create(actor, {
      identifier: 'urn:example:orders',
      name: 'Orders',
      scopes: [{ name: 'orders:write', description: 'Place orders' }],
      accessTokenTtlSeconds: 60,
      signingAlg: 'EdDSA',
      introspectionClientIds: ['known-a', 'known-b', 'known-a'],
    });

    assert.deepEqual(resource.introspectionClientIds, ['known-a', 'known-b']);
    assert.deepEqual(await resources.get(actor, 'urn:example:orders'), resource);
  });

  for (const identifier of [
    '',
    'orders',
    '/orders',
    'https://api.example.com/#orders',
    'https://api.example.com/#',
    'https://user@api.example.com',
    'https://api.example.com/a b',
    'https://äpi.example.com',
    'javascript:alert(1)',
    `https://api.example.com/${'x'.repeat(512)}`,
  ]) {
    it(`refuses ${identifier.slice(0, 40)} as an identifier`, async () => {
      const { actor, resources } = await setUp();

      await assert.rejects(
        resources.create(actor, { identifier }),
        refusal('resource.invalid', '/identifier'),
      );
    });
  }

  for (const scope of [
    'openid',
    'profile',
    'email',
    'phone',
    'address',
    'offline_access',
    'a b',
    'a"b',
    'a\\b',
    'ä',
    '',
  ]) {
    it(`refuses ${JSON.stringify(scope)} as a scope`, async () => {
      const { actor, resources } = await setUp();

      await assert.rejects(
        resources.create(actor, { identifier: API, scopes: [{ name: 'fine' }, { name: scope }] }),
        refusal('resource.invalid', '/scopes/1/name'),
      );
    });
  }

  it('refuses a scope listed twice, an unknown format or algorithm, a life out of range, an unknown client', async () => {
    const { actor, resources } = await setUp();
    const create = (fields: object) => resources.create(actor, { identifier: API, ...fields });

    await assert.rejects(
      create({ scopes: [{ name: 'a' }, { name: 'a' }] }),
      refusal('resource.invalid', '/scopes/1/name'),
    );
    await assert.rejects(
      create({ accessTokenFormat: 'xml' }),
      refusal('resource.invalid', '/access_token_format'),
    );
    await assert.rejects(create({ signingAlg: 'HS256' }), refusal('resource.invalid', '/signing_alg'));
    await assert.rejects(
      create({ accessTokenTtlSeconds: 9 }),
      refusal('resource.invalid', '/access_token_ttl_seconds'),
    );
    await assert.rejects(
      create({ accessTokenFormat: 'opaque', signingAlg: 'RS256' }),
      refusal('resource.invalid', '/signing_alg'),
    );
    await assert.rejects(
      create({ introspectionClientIds: ['known', 'stranger'] }),
      refusal('resource.invalid', '/introspection_client_ids/1'),
    );
  });

  it('refuses an identifier that is taken in this tenant, and allows it in another or after deletion', async () => {
    const first = await setUp();
    const second = await setUp();
    await first.resources.create(first.actor, { identifier: API });

    await assert.rejects(
      first.resources.create(first.actor, { identifier: API }),
      refusal('resource.identifier_taken'),
    );
    await second.resources.create(second.actor, { identifier: API });
    await first.resources.delete(first.actor, API);
    await first.resources.create(first.actor, { identifier: API });
  });
});

describe('changing a resource', () => {
  it('changes what is given, keeps the rest, and records before and after', async () => {
    const { actor, resources, events, version } = await setUp();
    await resources.create(actor, { identifier: API, scopes: [{ name: 'a' }], signingAlg: 'ES256' });
    const before = await version();

    const changed = await resources.update(actor, API, {
      accessTokenFormat: 'opaque',
      accessTokenTtlSeconds: 300,
    });

    assert.deepEqual(changed.scopes, [{ name: 'a', description: '' }]);
    assert.equal(changed.signingAlg, null);
    const event = (await events()).at(-1);
    assert.equal(event?.type, 'resource.updated');
    assert.partialDeepStrictEqual(event?.data, {
      before: { access_token_format: 'jwt', signing_alg: 'ES256' },
      after: { access_token_format: 'opaque', access_token_ttl_seconds: 300, signing_alg: null },
    });
    assert.equal(await version(), before + 1);
  });

  it('keeps both of two changes made at once', async () => {
    const { actor, resources } = await setUp();
    await resources.create(actor, { identifier: API });

    await Promise.all([
      resources.update(actor, API, { name: 'Orders' }),
      resources.update(actor, API, { accessTokenTtlSeconds: 60 }),
    ]);

    assert.partialDeepStrictEqual(await resources.get(actor, API), {
      name: 'Orders',
      accessTokenTtlSeconds: 60,
    });
  });

  it('is refused for a resource that does not exist, was deleted, or belongs to another tenant', async () => {
    const { actor, resources } = await setUp();
    const other = await setUp();
    await other.resources.create(other.actor, { identifier: API });
    await resources.create(actor, { identifier: 'urn:gone' });
    await resources.delete(actor, 'urn:gone');

    for (const identifier of [API, 'urn:gone', 'x\u0000']) {
      await assert.rejects(resources.get(actor, identifier), refusal('resource.not_found'));
      await assert.rejects(resources.update(actor, identifier, { name: 'x' }), refusal('resource.not_found'));
      await assert.rejects(resources.delete(actor, identifier), refusal('resource.not_found'));
    }
  });
});

describe('listing resources', () => {
  it('pages through all of the tenant, each once', async () => {
    const { actor, resources } = await setUp();
    for (const identifier of ['urn:a', 'urn:b', 'urn:c']) await resources.create(actor, { identifier });

    const first = await resources.list(actor, { limit: 2 });
    const second = await resources.list(actor, { limit: 2, after: first[1]?.id });

    assert.deepEqual([...first, ...second].map(({ identifier }) => identifier).toSorted(), [
      'urn:a',
      'urn:b',
      'urn:c',
    ]);
    await assert.rejects(resources.list(actor, { after: 'x' }), refusal('resource.invalid_cursor'));
  });
});
