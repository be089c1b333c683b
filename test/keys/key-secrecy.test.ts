import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { calculateJwkThumbprint } from 'jose';
import type { KeyService } from '../../src/keys/key-service.ts';
import { publicJwks } from '../../src/keys/public-jwks.ts';
import { systemActor } from '../../src/http/actor.ts';
import { AppError } from '../../src/lib/errors.ts';
import { testDb } from '../support/database.ts';
import { keyService, kidsOf, masterKey, sealerWith, tenantWithKeys } from './support.ts';

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const;

const cannotOpen = (cause: RegExp) => (err: unknown) =>
  err instanceof AppError &&
  err.code === 'signing_key.cannot_open' &&
  err.cause instanceof Error &&
  cause.test(err.cause.message);

describe('secrecy of signing keys', () => {
  let db: Knex;
  let keys: KeyService;

  before(async () => {
    db = await testDb();
    keys = keyService(db);
  });

  it('leaves no private member in the rows of keys and events, nor in what is listed and published', async () => {
    const tenantId = await tenantWithKeys(db, keys);
    await keys.rotate(systemActor(tenantId), { alg: 'ES256', force: true });
    const jwks = await keys.signingJwks(tenantId);
    const secrets = jwks
      .flatMap((jwk) => PRIVATE_MEMBERS.map((member) => jwk[member]))
      .filter((s) => s !== undefined);

    const texts = JSON.stringify([
      await db('signing_keys').where({ tenant_id: tenantId }),
      await db('events').where({ tenant_id: tenantId }),
      await keys.list(tenantId),
      publicJwks(jwks),
    ]);

    assert.ok(secrets.length >= 2 * 6 + 5);
    for (const secret of secrets) assert.ok(!texts.includes(secret));
    assert.doesNotMatch(texts, /"(d|p|q|dp|dq|qi|k|oth)"/);
  });

  it('publishes exactly the public members of each type, under the RFC 7638 thumbprint', async () => {
    const tenantId = await tenantWithKeys(db, keys);

    const published = publicJwks(await keys.signingJwks(tenantId));

    const members: Record<string, string> = {
      RS256: 'alg e kid kty n use',
      ES256: 'alg crv kid kty use x y',
      EdDSA: 'alg crv kid kty use x',
    };
    for (const jwk of published.keys) {
      assert.equal(Object.keys(jwk).sort().join(' '), members[jwk.alg]);
      assert.equal(jwk.kid, await calculateJwkThumbprint({ ...jwk }));
      if (jwk.kty === 'RSA') assert.equal(Buffer.from(jwk.n ?? '', 'base64url').length, 256);
    }
  });

  it('erases the private half of a key that is revoked', async () => {
    const tenantId = await tenantWithKeys(db, keys);
    const [kid] = await kidsOf(keys, tenantId, 'RS256', 'current');

    await keys.revoke(systemActor(tenantId), kid ?? '');

    const row = await db('signing_keys').where({ tenant_id: tenantId, kid }).first();
    assert.equal(row.private_jwk_sealed, null);
    assert.ok(row.removed_at instanceof Date);
  });

  it('does not open a sealed key that was copied into another row', async () => {
    const tenantId = await tenantWithKeys(db, keys);
    const [current] = await kidsOf(keys, tenantId, 'ES256', 'current');
    const [next] = await kidsOf(keys, tenantId, 'ES256', 'next');
    const row = await db('signing_keys').where({ tenant_id: tenantId, kid: next }).first();

    await db('signing_keys')
      .where({ tenant_id: tenantId, kid: current })
      .update({ private_jwk_sealed: row.private_jwk_sealed });

    await assert.rejects(keys.signingJwks(tenantId), cannotOpen(/does not open: .*the row was altered/));
  });

  it('does not sign with a row that was given another kid', async () => {
    const tenantId = await tenantWithKeys(db, keys);
    const [current] = await kidsOf(keys, tenantId, 'ES256', 'current');

    await db('signing_keys').where({ tenant_id: tenantId, kid: current }).update({ kid: 'chosen' });

    await assert.rejects(keys.signingJwks(tenantId), cannotOpen(/holds another key/));
  });

  it('says which master key is needed when the ring lacks it, to the operator alone', async () => {
    const [oldKey, newKey] = [masterKey(), masterKey()];
    const oldSealer = sealerWith(oldKey);
    const tenantId = await tenantWithKeys(db, keyService(db, { sealer: oldSealer }));
    const masterKeyId = oldSealer.keyIdOf(oldSealer.seal('', 'probe'));

    const opening = keyService(db, { sealer: sealerWith(newKey) }).signingJwks(tenantId);

    await assert.rejects(opening, cannotOpen(new RegExp(`master key ${masterKeyId}.*GATEHOUSE_KEYS`)));
    await assert.rejects(opening, (err: Error) => !err.message.includes(masterKeyId));
  });
});
