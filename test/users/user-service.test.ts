import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { AppError } from '../../src/lib/errors.ts';
import { newId } from '../../src/lib/ids.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createPasswordPolicy } from '../../src/users/password-policy.ts';
import { createUserService } from '../../src/users/user-service.ts';
import { userStore } from '../../src/users/user-store.ts';
import type { UserStatus } from '../../src/users/user.ts';
import { newTenant, testDb } from '../support/database.ts';
import { GOOD_PASSWORD, OTHER_PASSWORD, eventsOf, newHasher, operator, people } from './people.ts';

describe('user service', () => {
  let db: Knex;
  let tenantId: string;

  before(async () => {
    db = await testDb();
  });

  beforeEach(async () => {
    tenantId = (await newTenant(db, { name: 'Northwind Traders' })).id;
  });

  const actor = () => operator(tenantId);

  it('creates an active user with address, profile and password, and records it', async () => {
    const { users } = people(db);

    const user = await users.create(actor(), {
      email: ' Ana@Example.com ',
      password: GOOD_PASSWORD,
      emailVerified: true,
      claims: { name: 'Ana L\u00f3pez', locale: 'es' },
    });

    assert.equal(user.email, 'Ana@Example.com');
    assert.equal(user.status, 'active');
    assert.ok(user.emailVerifiedAt instanceof Date);
    assert.deepEqual(await users.get(actor(), user.id), user);
    const { profile } = await users.getWithProfile(actor(), user.id);
    assert.deepEqual(profile.claims, { name: 'Ana L\u00f3pez', locale: 'es' });
    const [event, ...more] = await eventsOf(db, tenantId);
    assert.equal(more.length, 0);
    assert.equal(event?.type, 'user.created');
    assert.equal(event.target_id, user.id);
    assert.deepEqual(event.data, {
      after: { status: 'active', emailVerified: true, hasPassword: true, claims: ['name', 'locale'] },
    });
  });

  it('stores neither the password nor an unpeppered hash, and no event holds a hash', async () => {
    const { users } = people(db);

    const user = await users.create(actor(), { email: 'ana@example.com', password: GOOD_PASSWORD });
    await users.setPassword(actor(), user.id, OTHER_PASSWORD);

    const [row] = await db('password_credentials').where({ user_id: user.id });
    const everything = JSON.stringify([row, await eventsOf(db, tenantId)]);
    assert.ok(!everything.includes(GOOD_PASSWORD) && !everything.includes(OTHER_PASSWORD));
    assert.ok(!JSON.stringify(await eventsOf(db, tenantId)).includes('$argon2'));
    assert.match(row.pepper_id, /^[0-9a-f]{8}$/);
  });

  it('lets exactly one of 20 parallel creations have an address, whatever the case', async () => {
    const { users } = people(db);
    const spellings = ['ana@example.com', 'ANA@example.com', 'Ana@Example.COM', 'aNa@exAmple.com'];

    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        users.create(actor(), { email: spellings[index % 4] ?? '', password: GOOD_PASSWORD }),
      ),
    );

    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    assert.equal(refused.length, 19);
    for (const { reason } of refused) {
      assert.ok(reason instanceof AppError);
      assert.equal(reason.code, 'user.email_taken');
      assert.equal(reason.status, 409);
      assert.equal(reason.errors[0]?.path, '/email');
    }
    assert.equal((await users.list(actor(), { limit: 50 })).length, 1);
    assert.equal((await eventsOf(db, tenantId)).length, 1);
  });

  it('takes two Unicode spellings of an address for one', async () => {
    const { users } = people(db);
    const user = await users.create(actor(), { email: 'am\u00e9lie@example.com' });

    await assert.rejects(users.create(actor(), { email: 'ame\u0301lie@example.com' }), {
      code: 'user.email_taken',
    });

    assert.equal((await users.findByEmail(actor(), 'ame\u0301lie@EXAMPLE.com'))?.id, user.id);
  });

  it('allows the same address in another tenant', async () => {
    const { users } = people(db);
    const other = operator((await newTenant(db)).id);

    const [a, b] = await Promise.all([
      users.create(actor(), { email: 'ana@example.com' }),
      users.create(other, { email: 'ana@example.com' }),
    ]);

    assert.notEqual(a.id, b.id);
    assert.equal((await users.findByEmail(other, 'ana@example.com'))?.id, b.id);
  });

  it('refuses an address that is none, a bad password and unknown or dangerous claims', async () => {
    const { users } = people(db);
    const email = 'ana@example.com';

    await assert.rejects(users.create(actor(), { email: 'ana@evil@example.com' }), {
      code: 'user.email_invalid',
    });
    await assert.rejects(users.create(actor(), { email, password: 'short' }), {
      code: 'password.unacceptable',
    });
    await assert.rejects(users.create(actor(), { email, password: 'northwind traders' }), {
      code: 'password.unacceptable',
    });
    for (const claims of [
      { sub: 'someone' },
      { email_verified: true },
      { updated_at: 1 },
      { name: 'two\r\nlines' },
      { name: 'lone \ud800' },
      { name: 'a\0b' },
      { name: '\u202eana' },
      { website: 'javascript:alert(1)' },
      { website: 'https://example.com/\ud800' },
      { birthdate: 'yesterday' },
      { address: { planet: 'Mars' } },
      JSON.parse('{"__proto__": {"name": "x"}}') as Record<string, unknown>,
    ]) {
      await assert.rejects(users.create(actor(), { email, claims }), (err) => {
        assert.ok(err instanceof AppError, JSON.stringify(claims));
        assert.equal(err.code, 'user.claims_invalid');
        assert.ok(err.errors.every(({ path }) => path.startsWith('/claims')));
        return true;
      });
    }
    assert.deepEqual(await users.list(actor(), { limit: 10 }), []);
    assert.deepEqual(await eventsOf(db, tenantId), []);
  });

  it('keeps nothing of a user whose event cannot be written', async () => {
    const { users } = people(db);
    const unrecordable = { ...actor(), type: null as unknown as 'operator' };

    await assert.rejects(users.create(unrecordable, { email: 'ana@example.com', password: GOOD_PASSWORD }));

    assert.equal(await users.findByEmail(actor(), 'ana@example.com'), undefined);
  });

  it('answers not found for ids of another tenant, deleted users, unknown ids and text that is no id', async () => {
    const { users } = people(db);
    const other = operator((await newTenant(db)).id);
    const foreign = await users.create(other, { email: 'ana@example.com' });
    const gone = await users.create(actor(), { email: 'gone@example.com' });
    await users.delete(actor(), gone.id);

    for (const id of [
      foreign.id,
      gone.id,
      newId(),
      '',
      'me',
      "' OR 1=1 --",
      '\0',
      foreign.id.toUpperCase(),
    ]) {
      const refusal = { code: 'user.not_found', status: 404 };
      await assert.rejects(users.get(actor(), id), refusal);
      await assert.rejects(users.getWithProfile(actor(), id), refusal);
      await assert.rejects(users.setPassword(actor(), id, OTHER_PASSWORD), refusal);
      await assert.rejects(users.disable(actor(), id), refusal);
      await assert.rejects(users.enable(actor(), id), refusal);
      await assert.rejects(users.delete(actor(), id), refusal);
    }
    assert.equal((await users.get(other, foreign.id)).status, 'active');
  });

  it('lists page by page in the order of creation, without other tenants and deleted users', async () => {
    const { users } = people(db);
    const made: string[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      const day = new Date(Date.UTC(2030, 0, made.length + 1));
      const early = createUserService({
        db,
        now: () => day,
        hasher: newHasher(),
        passwordPolicy: createPasswordPolicy({ minLength: 15 }),
        revokeAccess: async () => {},
        forgetFailures: async () => {},
        tellOwner: async () => {},
      });
      made.push((await early.create(actor(), { email: `${name}@example.com` })).id);
    }
    await users.create(operator((await newTenant(db)).id), { email: 'x@example.com' });
    await users.delete(actor(), made[2] ?? '');

    const first = await users.list(actor(), { limit: 2 });
    const second = await users.list(actor(), { limit: 2, after: first.at(-1)?.id });
    const third = await users.list(actor(), { limit: 2, after: second.at(-1)?.id });

    assert.deepEqual(
      [...first, ...second].map(({ id }) => id),
      [made[0], made[1], made[3], made[4]],
    );
    assert.deepEqual(third, []);
    await assert.rejects(users.list(actor(), { limit: 2, after: "' OR 1=1" }), {
      code: 'user.invalid_cursor',
      status: 400,
    });
  });

  it('disables and enables, ends access on disabling, and records before, after and reason', async () => {
    const { users, revoked } = people(db);
    const { id } = await users.create(actor(), { email: 'ana@example.com', password: GOOD_PASSWORD });

    await users.disable(actor(), id, { reason: 'left_the_company' });
    await users.disable(actor(), id);
    const disabled = await users.get(actor(), id);
    await users.enable(actor(), id);

    assert.equal(disabled.status, 'disabled');
    assert.equal((await users.get(actor(), id)).status, 'active');
    assert.deepEqual(revoked, [id]);
    const [, off, on, ...more] = await eventsOf(db, tenantId);
    assert.equal(more.length, 0);
    assert.equal(off?.type, 'user.disabled');
    assert.equal(off.reason, 'left_the_company');
    assert.deepEqual(off.data, { before: { status: 'active' }, after: { status: 'disabled' } });
    assert.equal(on?.type, 'user.enabled');
  });

  it('lets go of nothing when access cannot be ended', async () => {
    const broken = createUserService({
      db,
      now: systemClock,
      hasher: newHasher(),
      passwordPolicy: createPasswordPolicy({ minLength: 15 }),
      revokeAccess: () => Promise.reject(new Error('store is down')),
      forgetFailures: async () => {},
      tellOwner: async () => {},
    });
    const { id } = await broken.create(actor(), { email: 'ana@example.com', password: GOOD_PASSWORD });
    const [before] = await db('password_credentials').where({ user_id: id });

    await assert.rejects(broken.disable(actor(), id), /store is down/);
    await assert.rejects(broken.setPassword(actor(), id, OTHER_PASSWORD), /store is down/);
    await assert.rejects(broken.delete(actor(), id), /store is down/);

    assert.equal((await broken.get(actor(), id)).status, 'active');
    assert.deepEqual(await db('password_credentials').where({ user_id: id }), [before]);
    assert.equal((await eventsOf(db, tenantId)).length, 1);
  });

  it('passes its own transaction to what ends access', async () => {
    const seen: (string | undefined)[] = [];
    const users = createUserService({
      db,
      now: systemClock,
      hasher: newHasher(),
      passwordPolicy: createPasswordPolicy({ minLength: 15 }),
      revokeAccess: async (trx, tenant, userId) => {
        seen.push((await userStore(trx, tenant).find(userId))?.status);
        seen.push((await userStore(db, tenant).find(userId))?.status);
      },
      forgetFailures: async () => {},
      tellOwner: async () => {},
    });
    const { id } = await users.create(actor(), { email: 'ana@example.com' });

    await users.disable(actor(), id);

    assert.deepEqual(seen, ['disabled', 'active']);
  });

  it('moves between states only as the table of transitions allows', async () => {
    const { users } = people(db);
    const steps: Record<Exclude<UserStatus, 'deleted'>, { disable: UserStatus; enable: UserStatus }> = {
      pending: { disable: 'disabled', enable: 'active' },
      active: { disable: 'disabled', enable: 'active' },
      locked: { disable: 'disabled', enable: 'active' },
      disabled: { disable: 'disabled', enable: 'active' },
    };

    for (const [status, outcome] of Object.entries(steps)) {
      for (const step of ['disable', 'enable'] as const) {
        const { id } = await users.create(actor(), { email: `${status}-${step}@example.com` });
        await db('users').where({ id }).update({ status });

        const user = await users[step](actor(), id);

        assert.equal(user.status, outcome[step], `${status} ${step}`);
      }
    }
  });

  it('decides parallel disabling, enabling and deleting one after the other', async () => {
    const { users, revoked } = people(db);
    const { id } = await users.create(actor(), { email: 'ana@example.com' });

    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 5 }, () => users.disable(actor(), id)),
      ...Array.from({ length: 5 }, () => users.delete(actor(), id)),
    ]);

    const deleted = outcomes.slice(5).filter(({ status }) => status === 'fulfilled');
    assert.equal(deleted.length, 1);
    assert.equal((await eventsOf(db, tenantId, 'user.deleted')).length, 1);
    assert.ok((await eventsOf(db, tenantId, 'user.disabled')).length <= 1);
    assert.ok(revoked.length <= 2);
  });

  it('replaces a password, ends access, and records it without the password', async () => {
    const { users, signIn, revoked } = people(db);
    const { id, email } = await users.create(actor(), { email: 'ana@example.com', password: GOOD_PASSWORD });

    await users.setPassword(actor(), id, OTHER_PASSWORD);

    assert.equal((await signIn.verify(actor(), { email, password: GOOD_PASSWORD })).ok, false);
    assert.equal((await signIn.verify(actor(), { email, password: OTHER_PASSWORD })).ok, true);
    assert.deepEqual(revoked, [id]);
    const [event] = await eventsOf(db, tenantId, 'user.password_changed');
    assert.deepEqual(event?.data, { before: { hasPassword: true }, after: { hasPassword: true } });
  });

  it('refuses a password made from the address or the name of the tenant', async () => {
    const { users, revoked } = people(db);
    const { id } = await users.create(actor(), { email: 'ana.lopez@meridian.example' });

    for (const password of ['analopez2026!!!!', 'Northwind2026!!!', 'meridian-meridian-1']) {
      await assert.rejects(users.setPassword(actor(), id, password), (err) => {
        assert.ok(err instanceof AppError);
        assert.equal(err.errors[0]?.path, '/password');
        return true;
      });
    }
    assert.deepEqual(revoked, []);
  });

  it('frees the address of a deleted user, and never gives back the id', async () => {
    const { users, revoked } = people(db);
    const input = { email: 'ana@example.com', password: GOOD_PASSWORD, claims: { name: 'Ana' } };
    const { id } = await users.create(actor(), input);

    await users.delete(actor(), id);
    const successor = await users.create(actor(), input);

    assert.notEqual(successor.id, id);
    assert.deepEqual(revoked, [id]);
    const [event] = await eventsOf(db, tenantId, 'user.deleted');
    assert.equal(event?.target_id, id);
    assert.equal((await users.findByEmail(actor(), 'ana@example.com'))?.id, successor.id);
  });
});
