import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import type { Db } from '../../src/db/database.ts';
import type { Actor } from '../../src/http/actor.ts';
import { AppError } from '../../src/lib/errors.ts';
import { newId } from '../../src/lib/ids.ts';
import { createTenantService } from '../../src/tenants/tenant-service.ts';
import { parseTenantSettings } from '../../src/tenants/tenant-settings.ts';
import { tenantStore } from '../../src/tenants/tenant-store.ts';
import { openTestDatabase } from '../support/test-databases.ts';
import { migratedDatabase, newTenant, testDb } from '../support/database.ts';

const now = () => new Date();
const noPreparation = async () => undefined;
const freshSlug = () => `t-${randomBytes(8).toString('hex')}`;
const refusedAs = (code: string) => (err: unknown) => err instanceof AppError && err.code === code;

describe('tenant service', () => {
  let db: Knex;
  let operator: Actor;

  before(async () => {
    db = await testDb();
    operator = { tenantId: (await newTenant(db)).id, type: 'operator' };
  });

  describe('create', () => {
    it('makes the tenant, prepares it and records it', async () => {
      const prepared: string[] = [];
      const prepareTenant = async (trx: Db, id: string) => {
        await tenantStore(trx).raiseOidcVersion(id);
        prepared.push(id);
      };
      const tenants = createTenantService({ db, now, prepareTenant });
      const slug = freshSlug();

      const tenant = await tenants.create(operator, { slug, name: '  Acme ' });

      assert.deepEqual(tenant, {
        id: tenant.id,
        slug,
        name: 'Acme',
        oidcVersion: 2,
        configVersion: 1,
        disabledAt: null,
        settings: parseTenantSettings({}),
      });
      assert.deepEqual(prepared, [tenant.id]);
      assert.deepEqual(await tenants.getBySlug(slug), tenant);
      const [event] = await db('events').where({ target_id: tenant.id });
      assert.equal(event.type, 'tenant.created');
      assert.equal(event.tenant_id, operator.tenantId);
      assert.deepEqual(event.data, { slug, name: 'Acme' });
    });

    it('leaves neither tenant nor event behind when preparing it fails', async () => {
      const prepareTenant = async () => {
        throw new Error('no keys');
      };
      const tenants = createTenantService({ db, now, prepareTenant });
      const slug = freshSlug();

      await assert.rejects(tenants.create(operator, { slug, name: 'Acme' }), /no keys/);

      assert.equal(await tenantStore(db).findBySlug(slug), undefined);
      assert.deepEqual(await db('events').whereJsonPath('data', '$.slug', '=', slug), []);
    });

    it('lets exactly one of many simultaneous creators of a slug win', async () => {
      const tenants = createTenantService({ db, now, prepareTenant: noPreparation });
      const slug = freshSlug();

      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, () => tenants.create(operator, { slug, name: 'Acme' })),
      );

      const refusals = outcomes.filter((outcome) => outcome.status === 'rejected');
      assert.equal(refusals.length, 19);
      assert.ok(refusals.every(({ reason }) => refusedAs('tenant.slug_taken')(reason)));
    });

    it('does not give out the slug of a deleted tenant again', async () => {
      const tenants = createTenantService({ db, now, prepareTenant: noPreparation });
      const { id, slug } = await newTenant(db);
      await db('tenants').where({ id }).update({ deleted_at: now() });

      await assert.rejects(tenants.create(operator, { slug, name: 'Acme' }), refusedAs('tenant.slug_taken'));
    });

    const badSlugs = ['', 'A', 'a_b', '-a', 'a-', 'ä', 'a.b', 'a/b', 'a\n', 'a\0', 'x'.repeat(64)];
    for (const slug of badSlugs) {
      it(`refuses the slug ${JSON.stringify(slug)}`, async () => {
        const tenants = createTenantService({ db, now, prepareTenant: noPreparation });

        await assert.rejects(
          tenants.create(operator, { slug, name: 'Acme' }),
          refusedAs('tenant.slug_invalid'),
        );
      });
    }

    for (const slug of ['default', 'admin', 'api', 'www', 'xn--80ak6aa92e']) {
      it(`refuses the reserved slug ${slug}`, async () => {
        const tenants = createTenantService({ db, now, prepareTenant: noPreparation });

        await assert.rejects(
          tenants.create(operator, { slug, name: 'Acme' }),
          refusedAs('tenant.slug_reserved'),
        );
      });
    }

    for (const name of ['', '   ', 'a\nb', 'x'.repeat(81)]) {
      it(`refuses the name ${JSON.stringify(name.slice(0, 10))} of ${name.length} characters`, async () => {
        const tenants = createTenantService({ db, now, prepareTenant: noPreparation });

        await assert.rejects(
          tenants.create(operator, { slug: freshSlug(), name }),
          refusedAs('tenant.name_invalid'),
        );
      });
    }
  });

  describe('update', () => {
    const tenants = () => createTenantService({ db, now, prepareTenant: noPreparation });

    it('changes what is given, keeps the rest, raises the version and records before and after', async () => {
      const { id, slug } = await tenants().create(operator, { slug: freshSlug(), name: 'Acme' });
      await tenants().update(operator, slug, { settings: { signUp: 'off', locale: 'de' } });

      const updated = await tenants().update(operator, slug, {
        name: 'Acme Inc.',
        settings: { locale: null, signUpDomains: ['Example.COM'] },
      });

      assert.equal(updated.name, 'Acme Inc.');
      assert.equal(updated.oidcVersion, 3);
      assert.deepEqual(
        updated.settings,
        parseTenantSettings({ signUp: 'off', signUpDomains: ['example.com'] }),
      );
      const [, event] = await db('events').where({ target_id: id, type: 'tenant.updated' }).orderBy('id');
      assert.deepEqual(event.data, {
        before: { name: 'Acme', settings: { signUp: 'off', locale: 'de' } },
        after: { name: 'Acme Inc.', settings: { signUp: 'off', signUpDomains: ['example.com'] } },
      });
    });

    it('loses none of many changes at once', async () => {
      const { slug } = await tenants().create(operator, { slug: freshSlug(), name: 'Acme' });
      const changes = [
        { signUp: 'off' },
        { magicLink: false },
        { locale: 'fr' },
        { sessionIdleSeconds: 600 },
      ] as const;

      await Promise.all(changes.map((settings) => tenants().update(operator, slug, { settings })));

      const { settings } = await tenants().getBySlug(slug);
      assert.deepEqual(settings, parseTenantSettings(Object.assign({}, ...changes)));
    });

    it('refuses unknown settings and values, and changes nothing', async () => {
      const { slug, settings } = await tenants().create(operator, { slug: freshSlug(), name: 'Acme' });

      for (const wrong of [{ signup: 'off' }, { signUp: 'never' }, { signUpDomains: ['@'] }, { locale: 7 }]) {
        const change = tenants().update(operator, slug, { settings: wrong as object });
        await assert.rejects(change, refusedAs('tenant.settings_invalid'), JSON.stringify(wrong));
      }
      await assert.rejects(tenants().update(operator, 'unknown-tenant', {}), refusedAs('tenant.not_found'));

      assert.deepEqual((await tenants().getBySlug(slug)).settings, settings);
    });
  });

  describe('getBySlug', () => {
    for (const slug of ['unknown-tenant', 'No Slug', '\0', 'x'.repeat(10_000)]) {
      it(`answers 404 for ${JSON.stringify(slug.slice(0, 20))}`, async () => {
        const tenants = createTenantService({ db, now, prepareTenant: noPreparation });

        await assert.rejects(tenants.getBySlug(slug), refusedAs('tenant.not_found'));
      });
    }
  });

  describe('ensureDefault', () => {
    it('makes one default tenant, prepared once, when many processes start at the same time', async () => {
      const own = await migratedDatabase();
      const pools = [openTestDatabase(own.url), openTestDatabase(own.url)];
      let preparations = 0;
      const prepareTenant = async (trx: Db) => {
        preparations += 1;
        await trx.raw('SELECT pg_sleep(0.2)');
      };
      const services = pools.map((pool) => createTenantService({ db: pool, now, prepareTenant }));
      try {
        const tenants = await Promise.all(
          services.flatMap((service) => Array.from({ length: 12 }, () => service.ensureDefault())),
        );

        assert.equal(new Set(tenants.map((tenant) => tenant.id)).size, 1);
        assert.equal(preparations, 1);
        assert.equal((await own.db('events').where({ type: 'tenant.created' })).length, 1);
      } finally {
        await Promise.all(pools.map((pool) => pool.destroy()));
        await own.drop();
      }
    });

    it('starts over when the process that was making it died', async () => {
      const own = await migratedDatabase();
      let attempts = 0;
      const prepareTenant = async () => {
        attempts += 1;
        if (attempts === 1) throw new Error('killed');
      };
      const tenants = createTenantService({ db: own.db, now, prepareTenant });
      try {
        await assert.rejects(tenants.ensureDefault(), /killed/);

        const tenant = await tenants.ensureDefault();

        assert.equal(tenant.slug, 'default');
        assert.deepEqual(await tenants.ensureDefault(), tenant);
      } finally {
        await own.drop();
      }
    });
  });
});

describe('tenant store', () => {
  it('does not find deleted tenants', async () => {
    const db = await testDb();
    const { id, slug } = await newTenant(db);
    const store = tenantStore(db);
    assert.equal((await store.find(id))?.slug, slug);

    await db('tenants').where({ id }).update({ deleted_at: now() });

    assert.equal(await store.find(id), undefined);
    assert.equal(await store.findBySlug(slug), undefined);
    assert.ok((await store.list()).every((tenant) => tenant.id !== id));
    assert.ok((await store.versions([id])).every((tenant) => tenant.id !== id));
  });

  it('answers undefined, not an error, for an id that is no UUID', async () => {
    assert.equal(await tenantStore(await testDb()).find('../../etc'), undefined);
  });

  it('counts versions up without losing one of many at once', async () => {
    const db = await testDb();
    const { id } = await newTenant(db);
    const store = tenantStore(db);

    await Promise.all(Array.from({ length: 10 }, () => store.raiseOidcVersion(id)));
    await Promise.all(Array.from({ length: 10 }, () => store.raiseConfigVersion(id)));

    const versions = (await store.versions([id])).find((tenant) => tenant.id === id);
    assert.deepEqual(versions, { id, oidcVersion: 11, configVersion: 11 });
    assert.equal(await store.find(newId()), undefined);
  });
});
