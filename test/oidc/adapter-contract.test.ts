import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { errors } from 'oidc-provider';
import type { Adapter } from 'oidc-provider';
import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/database.ts';
import { createKeyRing } from '../../src/lib/key-ring.ts';
import { createSealer } from '../../src/lib/sealer.ts';
import { newId } from '../../src/lib/ids.ts';
import { createAdapterFactory } from '../../src/oidc/adapter/adapter-factory.ts';
import { ID_PREFIX } from '../../src/oidc/adapter/stored-model.ts';
import { replayStore } from '../../src/oidc/adapter/replay-store.ts';
import { revocationList } from '../../src/oidc/adapter/revocation-list.ts';
import { newTenant, testDb } from '../support/database.ts';

const keyRing = createKeyRing([randomBytes(32)]);

function adapters(db: Knex, tenantId: string) {
  return createAdapterFactory({
    db,
    tenantId,
    sealer: createSealer(keyRing),
    keyRing,
    refreshGraceSeconds: 10,
    refreshAbsoluteSeconds: 1000,
    sessionIdleSeconds: 1000,
    sessionAbsoluteSeconds: 1000,
  });
}

const BOUND = ['AuthorizationCode', 'RefreshToken', 'AccessToken'] as const;
const CONSUMABLE = ['AuthorizationCode', 'RefreshToken', 'PushedAuthorizationRequest'] as const;
const ALL = [
  ...BOUND,
  'ClientCredentials',
  'Grant',
  'Interaction',
  'PushedAuthorizationRequest',
  'Session',
] as const;
type Name = (typeof ALL)[number];

/** What every kind of model promises, whatever its statements are. */
describe('adapter contract', () => {
  let db: Knex;
  let tenantId: string;
  let accountId: string;
  let create: (name: string) => Adapter;
  before(async () => {
    db = await testDb();
    ({ id: tenantId } = await newTenant(db));
    accountId = newId();
    await db('users').insert({ id: accountId, tenant_id: tenantId, email: 'ana@example.com' });
    create = adapters(db, tenantId);
  });

  const makeId = (name: string) => `${ID_PREFIX[name] ?? ''}${randomBytes(24).toString('base64url')}`;

  /** A saved model, with the grant it belongs to. */
  async function saved(name: Name) {
    const grantId = makeId('Grant');
    if ((BOUND as readonly string[]).includes(name)) {
      await create('Grant').upsert(grantId, payloadOf('Grant', grantId), 600);
    }
    const id = makeId(name);
    const payload = {
      ...payloadOf(name, id),
      ...((BOUND as readonly string[]).includes(name) ? { grantId } : {}),
    };
    await create(name).upsert(id, payload, 600);
    return { id, payload, grantId };
  }

  function payloadOf(name: string, jti: string) {
    const now = Math.floor(Date.now() / 1000);
    return {
      jti,
      kind: name,
      iat: now,
      exp: now + 600,
      accountId,
      clientId: 'a-client',
      ...(name === 'Session' ? { uid: makeId('uid'), authorizations: { app: { sid: 's' } } } : {}),
    };
  }

  const rowsOf = (model: string) => db('oidc_models').where({ tenant_id: tenantId, model });

  for (const name of ALL) {
    describe(name, () => {
      it('finds what was saved, member for member', async () => {
        const { id, payload } = await saved(name);

        assert.deepEqual(await create(name).find(id), payload);
      });

      it('does not find an id that was never saved', async () => {
        assert.equal(await create(name).find(makeId(name)), undefined);
      });

      it('does not find what was destroyed, and keeps its tombstone', async () => {
        const { id } = await saved(name);

        await create(name).destroy(id);

        assert.equal(await create(name).find(id), undefined);
        const [tombstone] = await rowsOf(name).whereNotNull('dead_at').orderBy('dead_at', 'desc').limit(1);
        assert.ok(tombstone.expires_at > new Date());
      });

      it('does not revive what was destroyed by saving it again', async () => {
        const { id, payload } = await saved(name);
        await create(name).destroy(id);

        await assert.rejects(async () => create(name).upsert(id, payload, 600), errors.OIDCProviderError);

        assert.equal(await create(name).find(id), undefined);
      });

      it('is invisible to another tenant', async () => {
        const { id } = await saved(name);
        const other = await newTenant(db);

        assert.equal(await adapters(db, other.id)(name).find(id), undefined);
      });

      it('keeps the id only as a hash', async () => {
        const { id } = await saved(name);

        const [{ found }] = await db('oidc_models as m')
          .where({ tenant_id: tenantId, model: name })
          .select(db.raw('bool_or(position(? in m::text) > 0) AS found', [id]));

        assert.equal(found, false);
      });

      it('says temporarily_unavailable, never "not found", when the store cannot answer', async () => {
        const broken = createDatabase({
          url: 'postgresql://127.0.0.1:1/none',
          poolMax: 1,
          statementTimeoutMs: 500,
          lockTimeoutMs: 500,
          acquireTimeoutMs: 500,
        });
        try {
          const adapter = adapters(broken, tenantId)(name);
          const id = makeId(name);

          for (const call of [
            () => adapter.find(id),
            () => adapter.upsert(id, payloadOf(name, id), 60),
            () => adapter.destroy(id),
          ]) {
            await assert.rejects(async () => call(), { error: 'temporarily_unavailable', statusCode: 503 });
          }
        } finally {
          await broken.destroy();
        }
      });
    });
  }

  for (const name of CONSUMABLE) {
    describe(`${name}, which is used once`, () => {
      it('is consumed by exactly one of many at once', async () => {
        const { id } = await saved(name);

        const outcomes = await Promise.allSettled(
          Array.from({ length: 20 }, async () => create(name).consume(id)),
        );

        assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
      });

      it('stays consumed when it is saved again', async () => {
        const { id, payload } = await saved(name);
        await create(name).consume(id);

        await create(name).upsert(id, payload, 600);

        assert.equal((await create(name).find(id))?.consumed, true);
      });
    });
  }

  for (const name of BOUND) {
    describe(`${name}, which belongs to a grant`, () => {
      it('is not found once its grant is dead', async () => {
        const { id, grantId } = await saved(name);

        await create('Grant').destroy(grantId);

        assert.equal(await create(name).find(id), undefined);
      });

      it('cannot be issued under a dead grant', async () => {
        const { grantId, payload } = await saved(name);
        await create('Grant').destroy(grantId);
        const id = makeId(name);

        await assert.rejects(
          async () => create(name).upsert(id, { ...payload, jti: id }, 600),
          errors.InvalidGrant,
        );
      });

      it('costs no query when the id is that of another kind', async () => {
        const { id } = await saved(name);
        const foreign = id.replace(/^[a-z]{2}_/, 'zz_');
        let queries = 0;
        const count = () => {
          queries += 1;
        };
        db.on('query', count);

        const found = await create(name).find(foreign);

        db.removeListener('query', count);
        assert.deepEqual([found, queries], [undefined, 0]);
      });
    });
  }

  it("seals an interaction, which names the browser's session", async () => {
    const id = makeId('Interaction');
    await create('Interaction').upsert(
      id,
      {
        ...payloadOf('Interaction', id),
        session: { cookie: 'the-secret-cookie', accountId: newId() },
      },
      600,
    );

    const [{ found }] = await db('oidc_models as m')
      .where({ tenant_id: tenantId, model: 'Interaction' })
      .select(db.raw('bool_or(position(? in m::text) > 0) AS found', ['the-secret-cookie']));

    assert.equal(found, false);
  });

  it('finds a session by its uid without telling its id', async () => {
    const { id, payload } = await saved('Session');

    const found = await create('Session').findByUid((payload as { uid?: string }).uid ?? '');

    assert.equal(found?.accountId, payload.accountId);
    assert.ok(!JSON.stringify(found).includes(id));
  });

  it('keeps a used refresh token for as long as its family can live', async () => {
    const { id } = await saved('RefreshToken');
    await create('RefreshToken').consume(id);

    const [row] = await rowsOf('RefreshToken')
      .whereNotNull('consumed_at')
      .orderBy('consumed_at', 'desc')
      .limit(1);

    assert.ok(row.expires_at.getTime() > Date.now() + 900_000);
  });

  it('remembers a replayed id once, for twice the window a proof is accepted in', async () => {
    const store = replayStore(db, tenantId);
    const expiresAt = Math.floor(Date.now() / 1000) + 300;

    const uses = await Promise.all(
      Array.from({ length: 20 }, () => store.remember('client', 'a-jti', expiresAt)),
    );

    assert.equal(uses.filter(Boolean).length, 1);
    const [row] = await db('replay_ids').where({ tenant_id: tenantId });
    assert.ok(row.expires_at.getTime() >= Date.now() + 600_000);
  });

  it('tells replayed ids of different issuers apart', async () => {
    const store = replayStore(db, tenantId);
    const expiresAt = Math.floor(Date.now() / 1000) + 300;

    const uses = [await store.remember('ab', 'c', expiresAt), await store.remember('a', 'bc', expiresAt)];

    assert.deepEqual(uses, [true, true]);
  });

  it('honours a self-contained token until it or its grant is revoked', async () => {
    const list = revocationList(db, tenantId);
    const { grantId } = await saved('AccessToken');
    const honoured = () => list.isHonoured('a-jwt', { grantId });
    const before = await honoured();

    const added = [
      await list.add('another-jwt', 4_000_000_000),
      await list.add('another-jwt', 4_000_000_000),
    ];
    const revoked = await list.isHonoured('another-jwt', { grantId });
    await create('Grant').destroy(grantId);

    assert.deepEqual([before, added, revoked, await honoured()], [true, [true, false], false, false]);
  });
});
