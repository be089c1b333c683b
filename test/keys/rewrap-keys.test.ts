import assert from 'node:assert/strict';
import { systemActor } from '../../src/http/actor.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { keyService, kidsOf, masterKey, sealerWith, tenantWithKeys } from './support.ts';

describe('rewrap of signing keys', () => {
  let own: OwnDatabase;

  // It goes over all tenants, so it has a database for itself.
  beforeEach(async () => {
    own = await migratedDatabase();
  });

  afterEach(async () => {
    await own.drop();
  });

  it('seals the keys of all tenants under the new master key while they are read and changed', async () => {
    const { db } = own;
    const [oldKey, newKey] = [masterKey(), masterKey()];
    const before = keyService(db, { sealer: sealerWith(oldKey) });
    const during = keyService(db, { sealer: sealerWith(newKey, oldKey) });
    const after = keyService(db, { sealer: sealerWith(newKey) });
    const tenants = [await tenantWithKeys(db, before), await tenantWithKeys(db, before)] as const;
    const actor = systemActor(tenants[0]);
    const jwks = await before.signingJwks(tenants[1]);
    let running = true;

    const reader = (async () => {
      while (running) assert.ok((await during.signingJwks(tenants[0])).length >= 6);
    })();
    const [kid] = await kidsOf(during, tenants[0], 'EdDSA', 'current');
    const [first, second] = await Promise.all([
      during.rewrap(actor),
      during.rewrap(actor),
      during.rotate(actor, { alg: 'ES256', force: true }),
      during.revoke(actor, kid ?? ''),
    ]);
    running = false;
    await reader;

    assert.deepEqual([first.unopenable, second.unopenable], [[], []]);
    assert.equal(first.remaining, 0);
    assert.ok([11, 12].includes(first.rewrapped + second.rewrapped));
    assert.deepEqual(await after.signingJwks(tenants[1]), jwks);
    assert.equal((await after.signingJwks(tenants[0])).length, 7);
    assert.deepEqual(await during.rewrap(actor), { rewrapped: 0, remaining: 0, unopenable: [] });
  });

  it('records each key in the trail of its own tenant', async () => {
    const { db } = own;
    const [oldKey, newKey] = [masterKey(), masterKey()];
    const first = await tenantWithKeys(db, keyService(db, { sealer: sealerWith(oldKey) }));
    const other = await tenantWithKeys(db, keyService(db, { sealer: sealerWith(oldKey) }));

    await keyService(db, { sealer: sealerWith(newKey, oldKey) }).rewrap(systemActor(first));

    const rows = await db('events').where({ type: 'signing_key.rewrapped' });
    assert.equal(rows.filter((row) => row.tenant_id === first).length, 6);
    assert.equal(rows.filter((row) => row.tenant_id === other).length, 6);
    assert.notEqual(rows[0].data.before.masterKeyId, rows[0].data.after.masterKeyId);
  });

  it('seals what it can and names the keys it cannot open', async () => {
    const { db } = own;
    const [lostKey, oldKey, newKey] = [masterKey(), masterKey(), masterKey()];
    const lost = await tenantWithKeys(db, keyService(db, { sealer: sealerWith(lostKey) }));
    const tenantId = await tenantWithKeys(db, keyService(db, { sealer: sealerWith(oldKey) }));
    const keys = keyService(db, { sealer: sealerWith(newKey, oldKey) });

    const result = await keys.rewrap(systemActor(tenantId));

    const lostKids = (await keys.list(lost)).map((key) => key.kid);
    assert.equal(result.rewrapped, 6);
    assert.equal(result.remaining, 6);
    assert.deepEqual(result.unopenable.sort(), lostKids.sort());
  });
});
