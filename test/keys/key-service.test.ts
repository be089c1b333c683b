import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { createLocalJWKSet, importJWK, jwtVerify, SignJWT } from 'jose';
import type { KeyService } from '../../src/keys/key-service.ts';
import { publicJwks } from '../../src/keys/public-jwks.ts';
import { SIGNING_ALGS } from '../../src/keys/signing-key.ts';
import type { SigningAlg } from '../../src/keys/signing-key.ts';
import { systemActor } from '../../src/http/actor.ts';
import { AppError } from '../../src/lib/errors.ts';
import { newTenant, testDb } from '../support/database.ts';
import {
  DAY_SECONDS,
  JWKS_MAX_AGE_SECONDS,
  keyEvents,
  keyService,
  kidsOf,
  LONGEST_TOKEN_SECONDS,
  oidcVersionOf,
  passTime,
  ROTATION_DAYS,
  tenantWithKeys,
} from './support.ts';

const PROPAGATION_SECONDS = 30;
const PUBLISHED_SECONDS = JWKS_MAX_AGE_SECONDS + PROPAGATION_SECONDS;
const RETIRING_SECONDS = LONGEST_TOKEN_SECONDS + 60 + PROPAGATION_SECONDS;

const refusedAs = (code: string) => (err: unknown) => err instanceof AppError && err.code === code;

describe('key service', () => {
  let db: Knex;
  let keys: KeyService;

  before(async () => {
    db = await testDb();
    keys = keyService(db);
  });

  /** Signs the way the protocol engine does: with the first key of the algorithm. */
  async function sign(tenantId: string, alg: SigningAlg): Promise<string> {
    const jwk = (await keys.signingJwks(tenantId)).find((key) => key.alg === alg);
    assert.ok(jwk);
    return new SignJWT({}).setProtectedHeader({ alg, kid: jwk.kid }).sign(await importJWK({ ...jwk }, alg));
  }

  async function verify(tenantId: string, token: string): Promise<void> {
    const published = publicJwks(await keys.signingJwks(tenantId));
    await jwtVerify(token, createLocalJWKSet({ keys: published.keys.map((jwk) => ({ ...jwk })) }));
  }

  it('gives a tenant a current and a next key of each algorithm that sign and verify', async () => {
    const tenantId = await tenantWithKeys(db, keys);

    const jwks = await keys.signingJwks(tenantId);

    assert.deepEqual(
      jwks.map((jwk) => `${jwk.alg} ${jwk.kty} ${jwk.use}`),
      ['RS256 RSA sig', 'RS256 RSA sig', 'ES256 EC sig', 'ES256 EC sig', 'EdDSA OKP sig', 'EdDSA OKP sig'],
    );
    for (const alg of SIGNING_ALGS) {
      const [current] = await kidsOf(keys, tenantId, alg, 'current');
      assert.equal(jwks.find((jwk) => jwk.alg === alg)?.kid, current);
      await verify(tenantId, await sign(tenantId, alg));
    }
  });

  it('makes no further keys for a tenant that has them', async () => {
    const tenantId = await tenantWithKeys(db, keys);
    const before = await keys.list(tenantId);
    const version = await oidcVersionOf(db, tenantId);

    await db.transaction((trx) => keys.ensureKeys(trx, tenantId));
    await keys.runSchedule(tenantId);

    assert.deepEqual(await keys.list(tenantId), before);
    assert.equal(await oidcVersionOf(db, tenantId), version);
  });

  it('undoes keys, events and version together with the transaction they were made in', async () => {
    const { id } = await newTenant(db);

    const creation = db.transaction(async (trx) => {
      await keys.ensureKeys(trx, id);
      throw new Error('something later failed');
    });

    await assert.rejects(creation, /something later failed/);
    assert.deepEqual(await keys.list(id), []);
    assert.deepEqual(await keyEvents(db, id), []);
    assert.equal(await oidcVersionOf(db, id), 1);
  });

  it('refuses to serve a tenant without keys instead of publishing an empty set', async () => {
    const { id } = await newTenant(db);

    await assert.rejects(keys.signingJwks(id), refusedAs('signing_key.missing'));
  });

  describe('rotate', () => {
    it('waits until the next key was published for the JWKS max-age and the spread to replicas', async () => {
      const tenantId = await tenantWithKeys(db, keys);
      const actor = systemActor(tenantId);
      const before = await keys.list(tenantId);

      await passTime(db, tenantId, PUBLISHED_SECONDS - 60);
      await assert.rejects(
        keys.rotate(actor),
        (err) =>
          err instanceof AppError &&
          err.code === 'signing_key.next_too_new' &&
          (err.retryAfterSeconds ?? 0) > 30 &&
          (err.retryAfterSeconds ?? 0) <= 60,
      );
      assert.deepEqual(
        (await keys.list(tenantId)).map((key) => key.status),
        before.map((key) => key.status),
      );

      await passTime(db, tenantId, 60);
      const transitions = await keys.rotate(actor);
      assert.equal(transitions.length, 9);
    });

    it('moves next to current and current to retiring, and makes a new next key', async () => {
      const tenantId = await tenantWithKeys(db, keys);
      const [current] = await kidsOf(keys, tenantId, 'EdDSA', 'current');
      const [next] = await kidsOf(keys, tenantId, 'EdDSA', 'next');
      const version = await oidcVersionOf(db, tenantId);
      const earlier = (await keyEvents(db, tenantId)).length;

      const transitions = await keys.rotate(systemActor(tenantId), { alg: 'EdDSA', force: true });

      const [made] = await kidsOf(keys, tenantId, 'EdDSA', 'next');
      assert.deepEqual(transitions, [
        { kid: current, alg: 'EdDSA', from: 'current', to: 'retiring' },
        { kid: next, alg: 'EdDSA', from: 'next', to: 'current' },
        { kid: made, alg: 'EdDSA', from: null, to: 'next' },
      ]);
      assert.deepEqual(await kidsOf(keys, tenantId, 'EdDSA', 'current'), [next]);
      assert.deepEqual(await kidsOf(keys, tenantId, 'EdDSA', 'retiring'), [current]);
      assert.equal(await oidcVersionOf(db, tenantId), version + 1);
      assert.deepEqual((await keyEvents(db, tenantId)).slice(earlier), [
        `signing_key.retired ${current}`,
        `signing_key.activated ${next}`,
        `signing_key.created ${made}`,
      ]);
    });

    it('leaves keys, version and events alone when the event cannot be written', async () => {
      const tenantId = await tenantWithKeys(db, keys);
      const state = async () => [await keys.list(tenantId), await oidcVersionOf(db, tenantId)];
      const before = await state();
      // No value an actor can have makes the insert fail, so one that the types rule out has to.
      const actor = { ...systemActor(tenantId), type: null as unknown as 'system' };

      await assert.rejects(keys.rotate(actor, { force: true }), /not-null constraint/);

      assert.deepEqual(await state(), before);
    });
  });

  describe('runSchedule', () => {
    it('rotates when the current key is old, then removes the retired one when its tokens have expired', async () => {
      const tenantId = await tenantWithKeys(db, keys);
      const [first] = await kidsOf(keys, tenantId, 'ES256', 'current');
      assert.ok(first);

      await passTime(db, tenantId, ROTATION_DAYS * DAY_SECONDS - 60);
      assert.deepEqual(await keys.runSchedule(tenantId), []);

      await passTime(db, tenantId, 60);
      assert.equal((await keys.runSchedule(tenantId)).length, 9);
      assert.deepEqual(await keys.runSchedule(tenantId), []);

      await passTime(db, tenantId, RETIRING_SECONDS - 60);
      assert.deepEqual(await keys.runSchedule(tenantId), []);

      await passTime(db, tenantId, 60);
      const removed = await keys.runSchedule(tenantId);
      assert.deepEqual(
        removed.map(({ from, to }) => [from, to]),
        Array(3).fill(['retiring', 'gone']),
      );
      assert.ok((await keyEvents(db, tenantId)).includes(`signing_key.removed ${first}`));
    });

    it('does not rotate to a key that was published too recently', async () => {
      const tenantId = await tenantWithKeys(db, keys);
      await passTime(db, tenantId, 2 * ROTATION_DAYS * DAY_SECONDS);
      const [next] = await kidsOf(keys, tenantId, 'EdDSA', 'next');
      await keys.revoke(systemActor(tenantId), next ?? '');

      const transitions = await keys.runSchedule(tenantId);

      assert.deepEqual(
        transitions.filter(({ alg }) => alg === 'EdDSA'),
        [],
      );
      assert.equal(transitions.filter(({ to }) => to === 'current').length, 2);
    });

    it('keeps verifying what was signed just before a rotation, until that has expired', async () => {
      const tenantId = await tenantWithKeys(db, keys);
      await passTime(db, tenantId, ROTATION_DAYS * DAY_SECONDS);
      const token = await sign(tenantId, 'ES256');

      await keys.runSchedule(tenantId);
      await verify(tenantId, token);
      await verify(tenantId, await sign(tenantId, 'ES256'));

      await passTime(db, tenantId, RETIRING_SECONDS - 60);
      await keys.runSchedule(tenantId);
      await verify(tenantId, token);

      await passTime(db, tenantId, 60);
      await keys.runSchedule(tenantId);
      await assert.rejects(verify(tenantId, token), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
      await verify(tenantId, await sign(tenantId, 'ES256'));
    });

    it('makes keys for a tenant that has lost them', async () => {
      const { id } = await newTenant(db);

      await keys.runSchedule(id);

      assert.equal((await keys.signingJwks(id)).length, 6);
    });
  });

  describe('revoke', () => {
    it('takes the current key out of the JWKS at once and promotes the next', async () => {
      const tenantId = await tenantWithKeys(db, keys);
      const token = await sign(tenantId, 'EdDSA');
      const [current] = await kidsOf(keys, tenantId, 'EdDSA', 'current');
      const [next] = await kidsOf(keys, tenantId, 'EdDSA', 'next');
      const version = await oidcVersionOf(db, tenantId);

      await keys.revoke({ tenantId, type: 'operator' }, current ?? '');

      assert.deepEqual(await kidsOf(keys, tenantId, 'EdDSA', 'current'), [next]);
      assert.equal((await kidsOf(keys, tenantId, 'EdDSA', 'next')).length, 1);
      await assert.rejects(verify(tenantId, token), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
      await verify(tenantId, await sign(tenantId, 'EdDSA'));
      assert.equal(await oidcVersionOf(db, tenantId), version + 1);
      const [event] = await db('events').where({ tenant_id: tenantId, type: 'signing_key.revoked' });
      assert.equal(event.target_id, current);
      assert.equal(event.actor_type, 'operator');
    });

    it('changes nothing when done again', async () => {
      const tenantId = await tenantWithKeys(db, keys);
      const [next] = await kidsOf(keys, tenantId, 'EdDSA', 'next');
      await keys.revoke(systemActor(tenantId), next ?? '');
      const before = await keys.list(tenantId);

      assert.deepEqual(await keys.revoke(systemActor(tenantId), next ?? ''), []);

      assert.deepEqual(await keys.list(tenantId), before);
    });

    it("answers 404 for an unknown key and for another tenant's", async () => {
      const tenantId = await tenantWithKeys(db, keys);
      const foreign = await tenantWithKeys(db, keys);
      const [kid] = await kidsOf(keys, foreign, 'EdDSA', 'current');

      for (const each of ['unknown', kid ?? '']) {
        await assert.rejects(keys.revoke(systemActor(tenantId), each), refusedAs('signing_key.not_found'));
      }
      assert.deepEqual(await kidsOf(keys, foreign, 'EdDSA', 'current'), [kid]);
    });
  });
});
