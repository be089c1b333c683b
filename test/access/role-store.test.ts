import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { roleStore } from '../../src/access/role-store.ts';
import { newId } from '../../src/lib/ids.ts';
import { newTenant, testDb } from '../support/database.ts';

const ADMINISTRATOR = 'administrator';

describe('role store', () => {
  let db: Knex;
  let tenantId: string;

  before(async () => {
    db = await testDb();
  });

  beforeEach(async () => {
    tenantId = (await newTenant(db)).id;
  });

  async function newUser(tenant: string): Promise<string> {
    const id = newId();
    await db('users').insert({ id, tenant_id: tenant, email: `${id}@example.com` });
    return id;
  }

  it('makes a role once, also when 20 ask for it at the same time', async () => {
    const roles = roleStore(db, tenantId);

    const ids = await Promise.all(Array.from({ length: 20 }, () => roles.ensureRole(ADMINISTRATOR)));

    assert.equal(new Set(ids).size, 1);
  });

  it('gives a role once and says who has it', async () => {
    const roles = roleStore(db, tenantId);
    const userId = await newUser(tenantId);
    await roles.ensureRole(ADMINISTRATOR);
    const before = await roles.isAssigned(ADMINISTRATOR);

    const first = await roles.assign(userId, ADMINISTRATOR);
    const second = await roles.assign(userId, ADMINISTRATOR);

    assert.deepEqual([before, first, second], [false, true, false]);
    assert.deepEqual(await roles.rolesOf(userId), [ADMINISTRATOR]);
    assert.equal(await roles.isAssigned(ADMINISTRATOR), true);
  });

  it('gives nothing to a user of another tenant, a deleted one, or one that is no id', async () => {
    const roles = roleStore(db, tenantId);
    await roles.ensureRole(ADMINISTRATOR);
    const foreign = await newUser((await newTenant(db)).id);
    const deleted = await newUser(tenantId);
    await db('users').where({ id: deleted }).update({ status: 'deleted', deleted_at: new Date() });

    for (const userId of [foreign, deleted, newId(), 'me']) {
      assert.equal(await roles.assign(userId, ADMINISTRATOR), false);
      assert.deepEqual(await roles.rolesOf(userId), []);
    }
    assert.equal(await roles.assign(await newUser(tenantId), 'no such role'), false);
  });

  it('sees no assignment of another tenant', async () => {
    const other = (await newTenant(db)).id;
    const userId = await newUser(other);
    await roleStore(db, other).ensureRole(ADMINISTRATOR);
    await roleStore(db, other).assign(userId, ADMINISTRATOR);

    assert.deepEqual(await roleStore(db, tenantId).rolesOf(userId), []);
    assert.equal(await roleStore(db, tenantId).isAssigned(ADMINISTRATOR), false);
  });

  it('forgets the roles of a deleted user', async () => {
    const roles = roleStore(db, tenantId);
    const userId = await newUser(tenantId);
    await roles.ensureRole(ADMINISTRATOR);
    await roles.assign(userId, ADMINISTRATOR);

    await db('users').where({ id: userId }).update({ status: 'deleted', deleted_at: new Date() });

    assert.deepEqual(await roles.rolesOf(userId), []);
    assert.equal(await roles.isAssigned(ADMINISTRATOR), false);
  });
});
