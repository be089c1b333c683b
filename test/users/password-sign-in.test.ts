import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { AppError } from '../../src/lib/errors.ts';
import { createSignInAttempts } from '../../src/attempts/sign-in-attempts.ts';
import { createDatabase } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createKeyRing } from '../../src/lib/key-ring.ts';
import { revokeUserAccess } from '../../src/oidc/adapter/revoke-access.ts';
import { judgeProof } from '../../src/oidc/adapter/sign-in-guards.ts';
import { createPasswordHasher } from '../../src/users/password-hasher.ts';
import type { PasswordHasher } from '../../src/users/password-hasher.ts';
import { createPasswordSignIn } from '../../src/users/password-sign-in.ts';
import { newTenant, testDb } from '../support/database.ts';
import {
  GOOD_PASSWORD,
  OTHER_PASSWORD,
  countingHasher,
  eventsOf,
  newHasher,
  newKey,
  operator,
  people,
  uncounted,
  visitor,
} from './people.ts';

describe('password sign-in', () => {
  let db: Knex;
  let tenantId: string;
  const email = 'ana@example.com';

  before(async () => {
    db = await testDb();
  });

  beforeEach(async () => {
    tenantId = (await newTenant(db)).id;
  });

  async function hashOf(userId: string): Promise<{ hash: string; pepper_id: string }> {
    return db('password_credentials').where({ user_id: userId }).first('hash', 'pepper_id');
  }

  it('accepts the right password for any spelling of the address, and leaves the record to the session', async () => {
    const { users, signIn } = people(db);
    const user = await users.create(operator(tenantId), { email, password: GOOD_PASSWORD });

    for (const typed of [email, 'ANA@EXAMPLE.COM', '  Ana@example.com ']) {
      const outcome = await signIn.verify(visitor(tenantId), { email: typed, password: GOOD_PASSWORD });
      assert.deepEqual(outcome, { ok: true, user });
    }

    assert.deepEqual(await eventsOf(db, tenantId, 'user.login_failed'), []);
    assert.deepEqual(await eventsOf(db, tenantId, 'user.login'), []);
  });

  it('does one hash and one record for every kind of failure, and names the reason inside', async () => {
    const { hasher, calls } = countingHasher();
    const { users, signIn } = people(db, hasher);
    const admin = operator(tenantId);
    const other = operator((await newTenant(db)).id);
    const make = async (name: string, status: string, password?: string) => {
      const user = await users.create(admin, { email: `${name}@example.com`, password });
      await db('users').where({ id: user.id }).update({ status });
      return user;
    };
    await make('ana', 'active', GOOD_PASSWORD);
    await make('bare', 'active');
    await make('pending', 'pending', GOOD_PASSWORD);
    await make('locked', 'locked', GOOD_PASSWORD);
    await make('disabled', 'disabled', GOOD_PASSWORD);
    const gone = await make('gone', 'active', GOOD_PASSWORD);
    await users.delete(admin, gone.id);
    await users.create(other, { email: 'elsewhere@example.com', password: GOOD_PASSWORD });

    for (const [typed, password, reason] of [
      ['nobody@example.com', GOOD_PASSWORD, 'unknown_user'],
      ['not an address', GOOD_PASSWORD, 'unknown_user'],
      ["'; DROP TABLE users --", '', 'unknown_user'],
      ['gone@example.com', GOOD_PASSWORD, 'unknown_user'],
      ['elsewhere@example.com', GOOD_PASSWORD, 'unknown_user'],
      ['bare@example.com', GOOD_PASSWORD, 'no_password'],
      ['bare@example.com', '', 'no_password'],
      ['ana@example.com', OTHER_PASSWORD, 'wrong_password'],
      ['ana@example.com', '', 'wrong_password'],
      ['ana@example.com', 'x'.repeat(100_000), 'wrong_password'],
      ['pending@example.com', GOOD_PASSWORD, 'user_pending'],
      ['locked@example.com', GOOD_PASSWORD, 'user_locked'],
      ['disabled@example.com', GOOD_PASSWORD, 'user_disabled'],
      ['disabled@example.com', OTHER_PASSWORD, 'wrong_password'],
    ] as const) {
      calls.verify = 0;
      calls.hash = 0;
      const before = await eventsOf(db, tenantId, 'user.login_failed');

      const outcome = await signIn.verify(visitor(tenantId), { email: typed, password });

      const after = await eventsOf(db, tenantId, 'user.login_failed');
      assert.deepEqual(outcome, { ok: false, reason }, typed);
      assert.deepEqual(calls, { hash: 0, verify: 1 }, typed);
      assert.equal(after.length, before.length + 1);
      assert.equal(after.at(-1)?.reason, reason);
      assert.equal(after.at(-1)?.target_id === null, reason === 'unknown_user');
    }
  });

  it('records address and browser of a failure, and nothing of what was typed', async () => {
    const { signIn } = people(db);

    await signIn.verify(visitor(tenantId), { email: 'my secret password', password: GOOD_PASSWORD });

    const [event] = await eventsOf(db, tenantId, 'user.login_failed');
    assert.equal(event?.ip, '203.0.113.7');
    assert.equal(event.actor_type, 'anonymous');
    assert.deepEqual(event.data, {});
    assert.ok(!JSON.stringify(event).includes('secret password'));
  });

  it('moves a password to the new pepper when it is used, once', async () => {
    const [oldKey, nextKey] = [newKey(), newKey()];
    const before = people(db, newHasher([oldKey]));
    const { id } = await before.users.create(operator(tenantId), { email, password: GOOD_PASSWORD });
    const old = await hashOf(id);
    const { hasher, calls } = countingHasher(newHasher([nextKey, oldKey]));
    const { signIn } = people(db, hasher);

    await signIn.verify(visitor(tenantId), { email, password: OTHER_PASSWORD });
    const afterFailure = await hashOf(id);
    const first = await signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD });
    const second = await signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD });

    assert.deepEqual(afterFailure, old);
    assert.ok(first.ok && second.ok);
    assert.equal(calls.hash, 1);
    assert.equal((await hashOf(id)).pepper_id, createKeyRing([nextKey]).currentId);
    const withoutOld = people(db, newHasher([nextKey]));
    assert.ok((await withoutOld.signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD })).ok);
  });

  it('lets 20 parallel sign-ins through a pepper rotation', async () => {
    const [oldKey, nextKey] = [newKey(), newKey()];
    await people(db, newHasher([oldKey])).users.create(operator(tenantId), {
      email,
      password: GOOD_PASSWORD,
    });
    const { signIn } = people(db, newHasher([nextKey, oldKey]));

    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD })),
    );

    assert.ok(outcomes.every(({ ok }) => ok));
  });

  it('does not overwrite a password that was changed while the old one was being rehashed', async () => {
    const [oldKey, nextKey] = [newKey(), newKey()];
    const real = newHasher([nextKey, oldKey]);
    const { users } = people(db, newHasher([oldKey]));
    const { id } = await users.create(operator(tenantId), { email, password: GOOD_PASSWORD });
    const slow: PasswordHasher = {
      ...real,
      async hash(password) {
        await users.setPassword(operator(tenantId), id, OTHER_PASSWORD);
        return real.hash(password);
      },
    };
    const signIn = createPasswordSignIn({ db, now: systemClock, hasher: slow, attempts: uncounted });

    await signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD });

    const after = people(db, real).signIn;
    assert.equal((await after.verify(visitor(tenantId), { email, password: GOOD_PASSWORD })).ok, false);
    assert.equal((await after.verify(visitor(tenantId), { email, password: OTHER_PASSWORD })).ok, true);
  });

  it('is worth nothing for a session when the password, the state or the person changed during the hash', async () => {
    const real = newHasher();
    const { users } = people(db, real, revokeUserAccess);
    const admin = operator(tenantId);
    const changes: [judged: string, change: (id: string) => Promise<unknown>][] = [
      ['outdated', (id) => users.setPassword(admin, id, OTHER_PASSWORD)],
      ['outdated', (id) => users.setPassword(admin, id, OTHER_PASSWORD, { keepsAccess: true })],
      ['closed', (id) => users.disable(admin, id)],
      ['closed', (id) => users.delete(admin, id)],
      ['stands', (id) => users.get(admin, id)],
    ];

    for (const [index, [judged, change]] of changes.entries()) {
      const user = await users.create(admin, { email: `${index}@example.com`, password: GOOD_PASSWORD });
      const hasher: PasswordHasher = {
        ...real,
        async verify(password, stored) {
          await change(user.id);
          return real.verify(password, stored);
        },
      };
      const signIn = createPasswordSignIn({ db, now: systemClock, hasher, attempts: uncounted });

      const outcome = await signIn.verify(visitor(tenantId), { email: user.email, password: GOOD_PASSWORD });

      assert.ok(outcome.ok);
      const { id: userId, accessVersion } = outcome.user;
      const proof = { tenantId, userId, accessVersion };
      assert.equal(await judgeProof(db, 'page', proof, { isLocked: false }), judged, String(change));
      assert.equal(await judgeProof(db, 'api', proof, { isLocked: false }), judged, String(change));
    }
  });

  it('signs in although the rehash finds the queue full', async () => {
    const [oldKey, nextKey] = [newKey(), newKey()];
    const { users } = people(db, newHasher([oldKey]));
    const { id } = await users.create(operator(tenantId), { email, password: GOOD_PASSWORD });
    const before = await hashOf(id);
    const hasher: PasswordHasher = {
      ...newHasher([nextKey, oldKey]),
      hash: () => Promise.reject(new AppError('password.busy', 503, 'busy')),
    };
    const signIn = createPasswordSignIn({ db, now: systemClock, hasher, attempts: uncounted });

    const outcome = await signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD });

    assert.equal(outcome.ok, true);
    assert.deepEqual(await hashOf(id), before);
  });

  it('answers 503 when the queue is full, for known and unknown users alike, and records no failure', async () => {
    const real = createPasswordHasher({ peppers: createKeyRing([newKey()]), concurrency: 1, maxQueue: 0 });
    const { users, signIn } = people(db, real);
    await users.create(operator(tenantId), { email, password: GOOD_PASSWORD });
    const crowded: PasswordHasher = {
      ...real,
      async verify(password, stored) {
        const another = real.hash('takes the only place');
        const answer = real.verify(password, stored);
        await Promise.allSettled([another, answer]);
        return answer;
      },
    };
    const refusing = createPasswordSignIn({ db, now: systemClock, hasher: crowded, attempts: uncounted });

    for (const typed of [email, 'nobody@example.com']) {
      await assert.rejects(refusing.verify(visitor(tenantId), { email: typed, password: GOOD_PASSWORD }), {
        code: 'password.busy',
        status: 503,
      });
    }

    assert.deepEqual(await eventsOf(db, tenantId, 'user.login_failed'), []);
    assert.ok((await signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD })).ok);
  });

  it('gives an attempt back that it could not judge, ends the row at a success, and lets failures count', async () => {
    const working = newHasher();
    const { users } = people(db, working);
    await users.create(operator(tenantId), { email, password: GOOD_PASSWORD });
    const calls: string[] = [];
    const counting: typeof uncounted = {
      async begin() {
        calls.push('begin');
        return {
          ok: true,
          inARow: 1,
          succeeded: async () => void calls.push('succeeded'),
          failed: async () => void calls.push('failed'),
          withdraw: async () => void calls.push('withdraw'),
        };
      },
    };
    const full = createPasswordHasher({ peppers: createKeyRing([newKey()]), concurrency: 1, maxQueue: 0 });
    const on = (hasher: PasswordHasher) =>
      createPasswordSignIn({ db, now: systemClock, hasher, attempts: counting });

    await on(working).verify(visitor(tenantId), { email, password: OTHER_PASSWORD });
    await on(working).verify(visitor(tenantId), { email, password: GOOD_PASSWORD });
    const busy = full.hash('takes the only place');
    await assert.rejects(on(full).verify(visitor(tenantId), { email: 'nobody@example.com', password: 'x' }), {
      code: 'password.busy',
    });
    await busy;

    assert.deepEqual(calls, ['begin', 'failed', 'begin', 'succeeded', 'begin', 'withdraw']);
  });

  it('gives an attempt back where the database fails before it is judged, or after it was right', async () => {
    const working = newHasher();
    const { users } = people(db, working);
    const { id } = await users.create(operator(tenantId), { email, password: GOOD_PASSWORD });
    const limits = { perAccount: 10, lockAfter: 100, lockSeconds: 60, perNetwork: 100 };
    const real = createSignInAttempts({ db, limits, onClosed: async () => {} });
    const breaking = new Error('the database is gone');
    const failing: PasswordHasher = { ...working, verify: () => Promise.reject(breaking) };
    const forgetful: typeof uncounted = {
      async begin(...at) {
        const attempt = await real.begin(...at);
        return attempt.ok ? { ...attempt, succeeded: () => Promise.reject(breaking) } : attempt;
      },
    };
    const on = (hasher: PasswordHasher, attempts: typeof uncounted) =>
      createPasswordSignIn({ db, now: systemClock, hasher, attempts });
    const counted = async () => {
      const rows = await db('attempt_counters').where({ tenant_id: tenantId });
      return rows.reduce((sum, { attempts }) => sum + attempts, 0);
    };

    for (const signIn of [on(failing, real), on(working, forgetful)]) {
      await assert.rejects(signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD }), breaking);
    }
    const afterFaults = await counted();
    await on(working, real).verify(visitor(tenantId), { email, password: OTHER_PASSWORD });

    assert.equal(afterFaults, 0);
    assert.notEqual(await counted(), 0);
    assert.equal((await eventsOf(db, tenantId, 'user.login_failed'))[0]?.target_id, id);
  });

  it('judges nothing where an attempt is refused', async () => {
    const throttling: typeof uncounted = { begin: async () => ({ ok: false, retryAfterSeconds: 30 }) };
    const never: PasswordHasher = { ...newHasher(), verify: () => assert.fail('it was judged') };
    const signIn = createPasswordSignIn({ db, now: systemClock, hasher: never, attempts: throttling });

    const outcome = await signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD });

    assert.deepEqual(outcome, { ok: false, reason: 'throttled', retryAfterSeconds: 30 });
    assert.deepEqual(await eventsOf(db, tenantId, 'user.login_failed'), []);
  });

  it('fails loudly, not as a wrong password, when the pepper is missing', async () => {
    const { users } = people(db, newHasher([newKey()]));
    await users.create(operator(tenantId), { email, password: GOOD_PASSWORD });
    const { signIn } = people(db, newHasher([newKey()]));

    await assert.rejects(signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD }), /key ring/);

    assert.deepEqual(await eventsOf(db, tenantId, 'user.login_failed'), []);
  });

  it('never takes a failing database for an unknown user', async () => {
    const unreachable = createDatabase({
      url: 'postgresql://127.0.0.1:1/none',
      poolMax: 1,
      statementTimeoutMs: 500,
      lockTimeoutMs: 500,
      acquireTimeoutMs: 500,
    });
    const signIn = createPasswordSignIn({
      db: unreachable,
      now: systemClock,
      hasher: newHasher(),
      attempts: uncounted,
    });

    await assert.rejects(
      signIn.verify(visitor(tenantId), { email, password: GOOD_PASSWORD }),
      /ECONNREFUSED/,
    );
    await unreachable.destroy();
  });
});
