import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { systemActor } from '../../src/http/actor.ts';
import { isDatabaseUnavailable } from '../../src/db/database-errors.ts';
import { beginWait, WaitBudgetSpent, withWaitBudget } from '../../src/db/wait-budget.ts';
import { ALL_HOLD } from '../../src/oidc/adapter/deferred-writes.ts';
import { guarded } from '../../src/oidc/adapter/store-errors.ts';
import { inUnitOfWork } from '../../src/oidc/adapter/unit-of-work.ts';
import { newTenant, testDatabaseUrl, testDb } from '../support/database.ts';
import { openTestDatabase } from '../support/test-databases.ts';

describe('a unit of work', () => {
  let db: Knex;
  let other: Knex;
  before(async () => {
    db = openTestDatabase(await testDatabaseUrl());
    other = await testDb();
  });
  after(() => db.destroy());

  it('fails when the database does not confirm the commit', async () => {
    const { id } = await newTenant(other);

    const work = inUnitOfWork({ db, kind: 'browser', actor: () => systemActor(id) }, async (unit) => {
      const trx = await unit.transaction();
      await trx('tenants').where({ id }).update({ name: 'Never confirmed' });
      const { rows } = await trx.raw('SELECT pg_backend_pid() AS pid');
      await other.raw('SELECT pg_terminate_backend(?)', [rows[0].pid]);
      return true;
    });

    await assert.rejects(work);
    const tenant = await other('tenants').where({ id }).first('name');
    assert.notEqual(tenant.name, 'Never confirmed');
  });

  it('is committed though the request has waited for the database as long as it may', async () => {
    const { id } = await newTenant(other);

    await withWaitBudget(200, () =>
      inUnitOfWork({ db, kind: 'browser', actor: () => systemActor(id) }, async (unit) => {
        const trx = await unit.transaction();
        await trx('tenants').where({ id }).update({ name: 'Committed' });
        const end = beginWait();
        await new Promise((resolve) => setTimeout(resolve, 250));
        end();
        return true;
      }),
    );

    assert.equal((await other('tenants').where({ id }).first('name')).name, 'Committed');
  });

  it('writes nothing when the database failed meanwhile and nobody minded', async () => {
    const { id, slug } = await newTenant(other);

    const work = inUnitOfWork({ db, kind: 'browser', actor: () => systemActor(id) }, async (unit) => {
      const trx = await unit.transaction();
      await trx('tenants').where({ id }).update({ name: 'Half done' });
      await guarded(() => Promise.reject(new WaitBudgetSpent())).catch(() => {});
      return true;
    });

    await assert.rejects(work, WaitBudgetSpent);
    assert.equal((await other('tenants').where({ id }).first('name')).name, `Tenant ${slug}`);
  });

  it('says why when the transaction cannot begin', async () => {
    const { id } = await newTenant(other);
    const acquire = db.client.acquireConnection;
    db.client.acquireConnection = async () => {
      const connection = await acquire();
      await other.raw('SELECT pg_terminate_backend(?, 5000)', [connection.processID]);
      return connection;
    };

    const work = inUnitOfWork({ db, kind: 'browser', actor: () => systemActor(id) }, async (unit) => {
      const trx = await unit.transaction();
      await trx.raw('SELECT 1');
      return true;
    });

    await assert.rejects(work, isDatabaseUnavailable);
    db.client.acquireConnection = acquire;
  });

  for (const [setting, mayBeLost] of [
    ['off', [true, true]],
    ['on', [true, false]],
  ] as const) {
    it(`has synchronous_commit ${setting} where ${setting === 'on' ? 'not ' : ''}all it writes may be lost`, async () => {
      const tenants = await Promise.all(mayBeLost.map(() => newTenant(other)));

      await inUnitOfWork(
        { db, kind: 'browser', isOptimistic: true, actor: () => systemActor(tenants[0]?.id ?? '') },
        async ({ deferred }) => {
          for (const [index, { id }] of tenants.entries()) {
            deferred.write(id, {
              name: `${setting} ${index}`,
              sql: `UPDATE tenants SET name = current_setting('synchronous_commit') WHERE id = ?::uuid AND ${ALL_HOLD}`,
              bindings: [id],
              mayBeLost: mayBeLost[index] === true,
            });
          }
          assert.ok(await deferred.run(db));
          return false;
        },
      );

      const names = await other('tenants')
        .whereIn(
          'id',
          tenants.map(({ id }) => id),
        )
        .pluck('name');
      assert.deepEqual(names, [setting, setting]);
    });
  }
});
