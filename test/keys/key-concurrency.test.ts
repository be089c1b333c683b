import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { createLocalJWKSet, importJWK, jwtVerify, SignJWT } from 'jose';
import type { KeyService } from '../../src/keys/key-service.ts';
import { publicJwks } from '../../src/keys/public-jwks.ts';
import { SIGNING_ALGS } from '../../src/keys/signing-key.ts';
import { systemActor } from '../../src/http/actor.ts';
import { AppError } from '../../src/lib/errors.ts';
import { newTenant, testDatabaseUrl, testDb } from '../support/database.ts';
import { openTestDatabase } from '../support/test-databases.ts';
import { DAY_SECONDS, keyService, kidsOf, passTime, ROTATION_DAYS, tenantWithKeys } from './support.ts';

describe('signing keys on two replicas', () => {
  let db: Knex;
  let pools: Knex[];
  let replicas: [KeyService, KeyService];
  let keys: KeyService;

  before(async () => {
    db = await testDb();
    const url = await testDatabaseUrl();
    const [one, other] = [openTestDatabase(url), openTestDatabase(url)];
    pools = [one, other];
    replicas = [keyService(one), keyService(other)];
    [keys] = replicas;
  });

  after(async () => {
    await Promise.all(pools.map((pool) => pool.destroy()));
  });

  /** Twelve calls on each replica, all at once. */
  function atOnce<Result>(call: (keys: KeyService, db: Knex) => Promise<Result>) {
    return Promise.allSettled(
      replicas.flatMap((replica, index) =>
        Array.from({ length: 12 }, () => call(replica, pools[index] ?? db)),
      ),
    );
  }

  async function assertComplete(tenantId: string): Promise<void> {
    for (const alg of SIGNING_ALGS) {
      assert.equal((await kidsOf(keys, tenantId, alg, 'current')).length, 1);
      assert.equal((await kidsOf(keys, tenantId, alg, 'next')).length, 1);
    }
  }

  const failuresOf = (outcomes: PromiseSettledResult<unknown>[]) =>
    outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));

  it('are made once by many starts at the same time', async () => {
    const { id } = await newTenant(db);

    const outcomes = await atOnce((replica, pool) => pool.transaction((trx) => replica.ensureKeys(trx, id)));

    assert.deepEqual(failuresOf(outcomes), []);
    assert.equal((await keys.list(id)).length, 6);
    await assertComplete(id);
  });

  it('are rotated once by many schedules at the same time', async () => {
    const tenantId = await tenantWithKeys(db, keys);
    await passTime(db, tenantId, ROTATION_DAYS * DAY_SECONDS);

    const outcomes = await atOnce((replica) => replica.runSchedule(tenantId));

    assert.deepEqual(failuresOf(outcomes), []);
    assert.equal(
      outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : [])).length,
      9,
    );
    assert.equal((await keys.list(tenantId)).length, 9);
    await assertComplete(tenantId);
  });

  it('are rotated by one of many commands at the same time, the others are told to wait', async () => {
    const tenantId = await tenantWithKeys(db, keys);
    await passTime(db, tenantId, DAY_SECONDS);

    const outcomes = await atOnce((replica) => replica.rotate(systemActor(tenantId), { alg: 'ES256' }));

    const failures = failuresOf(outcomes);
    assert.equal(failures.length, 23);
    assert.ok(failures.every((err) => err instanceof AppError && err.code === 'signing_key.next_too_new'));
    assert.equal((await kidsOf(keys, tenantId, 'ES256', 'retiring')).length, 1);
    await assertComplete(tenantId);
  });

  it('stay complete through forced rotations, revocations and schedules at the same time', async () => {
    const tenantId = await tenantWithKeys(db, keys);
    await passTime(db, tenantId, ROTATION_DAYS * DAY_SECONDS);
    const actor = systemActor(tenantId);
    const doomed = (await keys.list(tenantId)).map((key) => key.kid);

    const outcomes = await Promise.all([
      atOnce((replica) => replica.rotate(actor, { alg: 'EdDSA', force: true })),
      atOnce((replica) => replica.revoke(actor, doomed.shift() ?? doomed[0] ?? '').catch(tolerateUnknown)),
      atOnce((replica) => replica.runSchedule(tenantId)),
      atOnce((replica, pool) => pool.transaction((trx) => replica.ensureKeys(trx, tenantId))),
    ]);

    assert.deepEqual(failuresOf(outcomes.flat()), []);
    assert.equal((await kidsOf(keys, tenantId, 'EdDSA', 'revoked')).length, 2);
    await assertComplete(tenantId);
  });

  it('sign and verify without a failure while they are rotated again and again', async () => {
    const tenantId = await tenantWithKeys(db, keys);
    let rotating = true;
    let verified = 0;

    const traffic = replicas.map(async (signer, index) => {
      const verifier = replicas[1 - index] ?? signer;
      while (rotating) {
        const jwk = (await signer.signingJwks(tenantId)).find((each) => each.alg === 'ES256');
        const token = await new SignJWT({})
          .setProtectedHeader({ alg: 'ES256', kid: jwk?.kid ?? '' })
          .sign(await importJWK({ ...jwk }, 'ES256'));
        const published = publicJwks(await verifier.signingJwks(tenantId)).keys;
        await jwtVerify(token, createLocalJWKSet({ keys: published.map((each) => ({ ...each })) }));
        verified += 1;
      }
    });
    try {
      for (let round = 0; round < 12; round++) {
        await replicas[round % 2]?.rotate(systemActor(tenantId), { alg: 'ES256', force: true });
      }
    } finally {
      rotating = false;
    }
    await Promise.all(traffic);

    assert.ok(verified > 0);
    assert.equal((await kidsOf(keys, tenantId, 'ES256', 'retiring')).length, 12);
  });
});

function tolerateUnknown(err: unknown): void {
  if (!(err instanceof AppError && err.code === 'signing_key.not_found')) throw err;
}
