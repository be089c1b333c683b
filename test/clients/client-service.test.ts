import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { verifyClientSecret } from '../../src/clients/client-secrets.ts';
import { createClientService } from '../../src/clients/client-service.ts';
import { clientStore } from '../../src/clients/client-store.ts';
import type { Actor } from '../../src/http/actor.ts';
import { AppError } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/ids.ts';
import { newTenant, testDb } from '../support/database.ts';

const WEB = { redirect_uris: ['https://app.example.com/cb'] };
const PUBLIC = { ...WEB, token_endpoint_auth_method: 'none' };

async function setUp({ isEnded = () => true }: { isEnded?: () => boolean } = {}) {
  const db = await testDb();
  const { id: tenantId } = await newTenant(db);
  const clock = { now: new Date() };
  const revoked: string[] = [];
  const checked: Record<string, unknown>[] = [];
  const clients = createClientService({
    db,
    now: () => clock.now,
    allowLocalHttp: false,
    async checkMetadata(metadata) {
      checked.push(metadata);
    },
    async beginEndingAccess(client) {
      revoked.push(`${client.tenantId}/${client.clientId}`);
    },
    finishEndingAccess: async () => isEnded(),
    resourceExists: async (_db, _tenant, identifier) => identifier === 'https://api.example.com',
  });
  const actor: Actor = { tenantId, type: 'operator' };
  return { db, tenantId, actor, clients, clock, revoked, checked };
}

async function eventsOf(
  db: Knex,
  tenantId: string,
): Promise<{ type: string; target_id: string; data: unknown }[]> {
  return db('events').where({ tenant_id: tenantId }).orderBy('id').select('type', 'target_id', 'data');
}

async function configVersion(db: Knex, tenantId: string): Promise<number> {
  const row = await db('tenants').where({ id: tenantId }).first('config_version');
  return row.config_version;
}

const refusal = (code: string) => (err: unknown) => err instanceof AppError && err.code === code;

describe('registering a client', () => {
  it('returns a secret of 256 bits once and stores only its hash and hint', async () => {
    const { db, tenantId, actor, clients } = await setUp();

    const { client, secret } = await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB });

    assert.match(secret ?? '', /^[A-Za-z0-9_-]{43}$/);
    const stored = await clientStore(db, tenantId).find('shop');
    assert.deepEqual(stored?.secrets[0]?.hash, sha256(secret ?? ''));
    assert.equal(stored?.secrets[0]?.hint, secret?.slice(0, 6));
    assert.equal(client.clientId, 'shop');
    const rows = JSON.stringify([
      await db('clients').where({ tenant_id: tenantId }),
      await db('client_secrets').where({ tenant_id: tenantId }),
      await eventsOf(db, tenantId),
    ]);
    assert.equal(rows.includes(secret ?? 'x'), false);
  });

  it('records the metadata in an event without secrets, and raises the configuration version', async () => {
    const { db, tenantId, actor, clients } = await setUp();
    const before = await configVersion(db, tenantId);

    await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB, firstParty: true });

    const [event] = await eventsOf(db, tenantId);
    assert.equal(event?.type, 'client.created');
    assert.equal(event?.target_id, 'shop');
    assert.deepEqual(event?.data, {
      after: {
        name: 'Shop',
        first_party: true,
        default_scope: null,
        default_resource: null,
        metadata: {
          application_type: 'web',
          redirect_uris: ['https://app.example.com/cb'],
          grant_types: ['authorization_code'],
          response_types: ['code'],
          token_endpoint_auth_method: 'client_secret_basic',
        },
      },
    });
    assert.equal(await configVersion(db, tenantId), before + 1);
  });

  it('makes no secret for a client that does not use one', async () => {
    const { db, tenantId, actor, clients } = await setUp();

    const { secret, client } = await clients.create(actor, { name: 'Phone', metadata: PUBLIC });

    assert.equal(secret, undefined);
    assert.deepEqual(client.secrets, []);
    assert.deepEqual(await db('client_secrets').where({ tenant_id: tenantId }), []);
  });

  it('generates an id that is not a UUID, since those are the subjects of users', async () => {
    const { actor, clients } = await setUp();

    const { client } = await clients.create(actor, { name: 'Phone', metadata: PUBLIC });

    assert.match(client.clientId, /^[0-9a-f]{24}$/);
  });

  for (const clientId of [
    '',
    'a b',
    'a/b',
    '../x',
    'a%20',
    'ä',
    '-x',
    'x'.repeat(129),
    '0190b5a4-7e7c-7bbb-8aaa-1234567890ab',
  ]) {
    it(`refuses ${JSON.stringify(clientId)} as a client id`, async () => {
      const { actor, clients } = await setUp();

      await assert.rejects(clients.create(actor, { clientId, name: 'Phone', metadata: PUBLIC }), (err) => {
        assert.ok(err instanceof AppError);
        assert.equal(err.code, 'client.invalid');
        assert.equal(err.errors[0]?.path, '/client_id');
        return true;
      });
    });
  }

  it('refuses an id that is taken in this tenant, and allows it in another', async () => {
    const first = await setUp();
    const second = await setUp();
    await first.clients.create(first.actor, { clientId: 'shop', name: 'Shop', metadata: PUBLIC });

    await assert.rejects(
      first.clients.create(first.actor, { clientId: 'shop', name: 'Other', metadata: PUBLIC }),
      refusal('client.id_taken'),
    );
    await second.clients.create(second.actor, { clientId: 'shop', name: 'Shop', metadata: PUBLIC });
  });

  it('refuses a name that is empty or could pass for another by invisible characters', async () => {
    const { actor, clients } = await setUp();

    for (const name of ['', '   ', 'Shop\u202Epohs', 'a\u0000b', 'x'.repeat(121)]) {
      await assert.rejects(
        clients.create(actor, { name, metadata: PUBLIC }),
        refusal('client.invalid'),
        name,
      );
    }
  });

  it('refuses a default scope outside the allowed scopes and a default resource that is not registered', async () => {
    const { actor, clients } = await setUp();
    const metadata = { ...PUBLIC, scope: 'openid email' };

    await assert.rejects(
      clients.create(actor, { name: 'Shop', metadata, defaultScope: 'openid phone' }),
      (err) => err instanceof AppError && err.errors[0]?.path === '/default_scope',
    );
    await assert.rejects(
      clients.create(actor, { name: 'Shop', metadata, defaultResource: 'https://other.example.com' }),
      (err) => err instanceof AppError && err.errors[0]?.path === '/default_resource',
    );
    const { client } = await clients.create(actor, {
      name: 'Shop',
      metadata,
      defaultScope: 'openid',
      defaultResource: 'https://api.example.com',
    });
    assert.equal(client.defaultScope, 'openid');
    assert.equal(client.defaultResource, 'https://api.example.com');
  });

  it('asks the protocol engine as well, and stores nothing when it refuses', async () => {
    const { db, tenantId, actor } = await setUp();
    const clients = createClientService({
      db,
      now: () => new Date(),
      allowLocalHttp: false,
      checkMetadata: async () => {
        throw new AppError('client.invalid', 400, 'no');
      },
      beginEndingAccess: async () => {},
      finishEndingAccess: async () => true,
      resourceExists: async () => true,
    });

    await assert.rejects(clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB }));

    assert.equal(await clientStore(db, tenantId).find('shop'), undefined);
  });
});

describe('reading clients', () => {
  it('answers as if the client did not exist for one of another tenant, a deleted one, and nonsense', async () => {
    const first = await setUp();
    const second = await setUp();
    await first.clients.create(first.actor, { clientId: 'shop', name: 'Shop', metadata: PUBLIC });
    await second.clients.create(second.actor, { clientId: 'gone', name: 'Gone', metadata: PUBLIC });
    await second.clients.delete(second.actor, 'gone');

    for (const clientId of ['shop', 'gone', 'x\u0000y', "'; DROP TABLE clients; --"]) {
      await assert.rejects(second.clients.get(second.actor, clientId), refusal('client.not_found'), clientId);
    }
  });

  it('pages through all clients of the tenant, each once', async () => {
    const { actor, clients } = await setUp();
    for (const clientId of ['a', 'b', 'c'])
      await clients.create(actor, { clientId, name: clientId, metadata: WEB });

    const first = await clients.list(actor, { limit: 2 });
    const second = await clients.list(actor, { limit: 2, after: first[1]?.id });

    assert.deepEqual([...first, ...second].map(({ clientId }) => clientId).toSorted(), ['a', 'b', 'c']);
    await assert.rejects(clients.list(actor, { after: 'x' }), refusal('client.invalid_cursor'));
  });
});

describe('changing a client', () => {
  it('merges the patch, takes out what is null, and records before and after', async () => {
    const { db, tenantId, actor, clients } = await setUp();
    await clients.create(actor, {
      clientId: 'shop',
      name: 'Shop',
      metadata: { ...PUBLIC, scope: 'openid', client_uri: 'https://shop.example.com' },
    });
    const version = await configVersion(db, tenantId);

    const { client } = await clients.update(actor, 'shop', {
      name: 'Store',
      metadata: { scope: null, redirect_uris: ['https://new.example.com/cb'] },
    });

    assert.equal(client.name, 'Store');
    assert.equal(client.metadata.scope, undefined);
    assert.deepEqual(client.metadata.redirect_uris, ['https://new.example.com/cb']);
    assert.equal(client.metadata.client_uri, 'https://shop.example.com');
    assert.deepEqual((await clients.get(actor, 'shop')).metadata, client.metadata);
    const event = (await eventsOf(db, tenantId)).at(-1);
    assert.equal(event?.type, 'client.updated');
    assert.partialDeepStrictEqual(event?.data, {
      before: { name: 'Shop', metadata: { scope: 'openid' } },
      after: { name: 'Store', metadata: { redirect_uris: ['https://new.example.com/cb'] } },
    });
    assert.equal(await configVersion(db, tenantId), version + 1);
  });

  it('checks the result as a whole, and changes nothing when it is refused', async () => {
    const { db, tenantId, actor, clients } = await setUp();
    await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: PUBLIC });
    const events = await eventsOf(db, tenantId);

    await assert.rejects(
      clients.update(actor, 'shop', { metadata: { grant_types: ['client_credentials'] } }),
      refusal('client.invalid'),
    );
    await assert.rejects(
      clients.update(actor, 'shop', { metadata: JSON.parse('{"__proto__":{"admin":true}}') }),
      refusal('client.invalid'),
    );
    await assert.rejects(clients.update(actor, 'nobody', { name: 'x' }), refusal('client.not_found'));

    assert.deepEqual(await eventsOf(db, tenantId), events);
  });

  it('lets the response type follow the grant types', async () => {
    const { actor, clients } = await setUp();
    await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB });

    const { client } = await clients.update(actor, 'shop', {
      metadata: { grant_types: ['client_credentials'], redirect_uris: null },
    });

    assert.deepEqual(client.metadata.response_types, []);
  });

  it('keeps both of two changes made at once', async () => {
    const { actor, clients } = await setUp();
    await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: PUBLIC });

    await Promise.all([
      clients.update(actor, 'shop', { metadata: { scope: 'openid' } }),
      clients.update(actor, 'shop', { metadata: { client_uri: 'https://shop.example.com' } }),
    ]);

    const { metadata } = await clients.get(actor, 'shop');
    assert.equal(metadata.scope, 'openid');
    assert.equal(metadata.client_uri, 'https://shop.example.com');
  });

  it('removes the secrets when the client turns public, and makes a new one when it turns back', async () => {
    const { db, tenantId, actor, clients } = await setUp();
    const { secret: old } = await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB });

    const turned = await clients.update(actor, 'shop', { metadata: { token_endpoint_auth_method: 'none' } });
    const rows = await db('client_secrets').where({ tenant_id: tenantId });
    const back = await clients.update(actor, 'shop', {
      metadata: { token_endpoint_auth_method: 'client_secret_post' },
    });

    assert.equal(turned.secret, undefined);
    assert.deepEqual(rows, []);
    assert.match(back.secret ?? '', /^[A-Za-z0-9_-]{43}$/);
    assert.notEqual(back.secret, old);
  });
});

describe('deleting and disabling a client', () => {
  it('ends its access, removes its secrets, and never gives its id out again', async () => {
    const { db, tenantId, actor, clients, revoked } = await setUp();
    await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB });

    await clients.delete(actor, 'shop');

    assert.deepEqual(revoked, [`${tenantId}/shop`]);
    assert.deepEqual(await db('client_secrets').where({ tenant_id: tenantId }), []);
    assert.equal((await eventsOf(db, tenantId)).at(-1)?.type, 'client.deleted');
    await assert.rejects(clients.delete(actor, 'shop'), refusal('client.not_found'));
    await assert.rejects(
      clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB }),
      refusal('client.id_taken'),
    );
  });

  it('ends its access when it is disabled, and keeps it for later', async () => {
    const { db, tenantId, actor, clients, revoked } = await setUp();
    await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB });

    await clients.disable(actor, 'shop');
    await clients.disable(actor, 'shop');
    const disabled = await clients.get(actor, 'shop');
    await clients.enable(actor, 'shop');

    assert.ok(disabled.disabledAt);
    assert.equal((await clients.get(actor, 'shop')).disabledAt, null);
    assert.deepEqual(new Set(revoked), new Set([`${tenantId}/shop`]));
    const types = (await eventsOf(db, tenantId)).map(({ type }) => type);
    assert.deepEqual(types, ['client.created', 'client.disabled', 'client.enabled']);
  });

  it('is disabled and deleted before anything of its access is ended, and marked until all of it has', async () => {
    const { db, tenantId, actor } = await setUp();
    const seen: unknown[] = [];
    const clients = createClientService({
      db,
      now: () => new Date(),
      allowLocalHttp: false,
      checkMetadata: async () => {},
      async beginEndingAccess({ clientId }) {
        const { disabled_at, deleted_at, access_ending_since } = await db('clients')
          .where({ tenant_id: tenantId, client_id: clientId })
          .first();
        seen.push([disabled_at !== null, deleted_at !== null, access_ending_since !== null]);
      },
      finishEndingAccess: async () => true,
      resourceExists: async () => true,
    });
    await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB });
    await clients.create(actor, { clientId: 'till', name: 'Till', metadata: WEB });

    await clients.disable(actor, 'shop');
    await clients.delete(actor, 'till');

    assert.deepEqual(seen, [
      [true, false, true],
      [false, true, true],
    ]);
  });

  it('stays disabled while grants of before are left', async () => {
    let isEnded = false;
    const { actor, clients, db, tenantId } = await setUp({ isEnded: () => isEnded });
    await clients.create(actor, { clientId: 'shop', name: 'Shop', metadata: WEB });
    await clients.disable(actor, 'shop');

    await assert.rejects(clients.enable(actor, 'shop'), refusal('client.access_ending'));
    assert.ok((await clients.get(actor, 'shop')).disabledAt);

    isEnded = true;
    await clients.enable(actor, 'shop');
    assert.equal((await clients.get(actor, 'shop')).disabledAt, null);
    const row = await db('clients').where({ tenant_id: tenantId, client_id: 'shop' }).first();
    assert.equal(row.access_ending_since, null);
  });
});

describe('client secrets', () => {
  async function withClient() {
    const context = await setUp();
    const { secret = '' } = await context.clients.create(context.actor, {
      clientId: 'shop',
      name: 'Shop',
      metadata: WEB,
    });
    return { ...context, first: secret };
  }

  it('both work after a rotation, and the old one stops after a day', async () => {
    const { actor, clients, clock, first } = await withClient();
    clock.now = new Date(clock.now.getTime() + 1000);

    const { secret, client } = await clients.rotateSecret(actor, 'shop');
    const dayLater = new Date(clock.now.getTime() + 86_400_001);

    assert.equal(verifyClientSecret(client, secret, clock.now), true);
    assert.equal(verifyClientSecret(client, first, clock.now), true);
    assert.equal(verifyClientSecret(client, first, dayLater), false);
    assert.equal(verifyClientSecret(client, secret, dayLater), true);
    assert.deepEqual((await clients.get(actor, 'shop')).secrets, client.secrets);
  });

  it('end at once when asked, also when there are two', async () => {
    const { actor, clients, clock, first } = await withClient();
    const { secret: second } = await clients.rotateSecret(actor, 'shop');

    const { secret: third } = await clients.rotateSecret(actor, 'shop', { expireOldAfterSeconds: 0 });

    const client = await clients.get(actor, 'shop');
    assert.equal(client.secrets.length, 1);
    assert.deepEqual(
      [first, second, third].map((secret) => verifyClientSecret(client, secret, clock.now)),
      [false, false, true],
    );
  });

  it('are never three, however many rotations run at once', async () => {
    const { db, tenantId, actor, clients } = await withClient();

    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, () => clients.rotateSecret(actor, 'shop')),
    );

    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.ok(
      outcomes.every(
        (outcome) => outcome.status === 'fulfilled' || refusal('client.too_many_secrets')(outcome.reason),
      ),
    );
    assert.equal((await db('client_secrets').where({ tenant_id: tenantId })).length, 2);
  });

  it('make room when the old one has expired', async () => {
    const { db, tenantId, actor, clients, clock } = await withClient();
    await clients.rotateSecret(actor, 'shop', { expireOldAfterSeconds: 60 });

    clock.now = new Date(clock.now.getTime() + 61_000);
    await clients.rotateSecret(actor, 'shop', { expireOldAfterSeconds: 60 });

    assert.equal((await db('client_secrets').where({ tenant_id: tenantId })).length, 2);
  });

  it('can be revoked one at a time by their hint', async () => {
    const { actor, clients, clock, first } = await withClient();
    const { secret } = await clients.rotateSecret(actor, 'shop');

    const client = await clients.revokeSecret(actor, 'shop', first.slice(0, 6));

    assert.equal(verifyClientSecret(client, first, clock.now), false);
    assert.equal(verifyClientSecret(client, secret, clock.now), true);
    await assert.rejects(clients.revokeSecret(actor, 'shop', 'nothin'), refusal('client.secret_not_found'));
  });

  it('are refused to a client that does not use them', async () => {
    const { actor, clients } = await setUp();
    await clients.create(actor, { clientId: 'phone', name: 'Phone', metadata: PUBLIC });

    await assert.rejects(clients.rotateSecret(actor, 'phone'), refusal('client.no_secret'));
  });

  it('match nothing but themselves', async () => {
    const { actor, clients, clock, first } = await withClient();
    const client = await clients.get(actor, 'shop');

    for (const guess of [
      '',
      first.slice(0, 42),
      `${first}x`,
      first.toUpperCase(),
      sha256(first).toString('hex'),
    ]) {
      assert.equal(verifyClientSecret(client, guess, clock.now), false);
    }
  });

  it('are never in an event', async () => {
    const { db, tenantId, actor, clients, first } = await withClient();
    const { secret } = await clients.rotateSecret(actor, 'shop');
    await clients.revokeSecret(actor, 'shop', first.slice(0, 6));
    await clients.delete(actor, 'shop');

    const recorded = JSON.stringify(await eventsOf(db, tenantId));

    for (const leak of [first, secret, sha256(secret).toString('hex'), sha256(first).toString('base64')]) {
      assert.equal(recorded.includes(leak), false);
    }
  });
});
