import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { systemActor } from '../../src/http/actor.ts';
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
});
