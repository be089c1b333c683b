import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { createUserLifeCycleJob } from '../../src/jobs/user-life-cycle-job.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { canBecome } from '../../src/users/user.ts';
import type { UserStatus } from '../../src/users/user.ts';
import { newTenant, testDb } from '../support/database.ts';
import { GOOD_PASSWORD, eventsOf, operator, people, visitor } from './people.ts';

const EMAIL = 'ana@example.com';
const log = createLogger({ level: 'silent' });

describe('life cycle of a user', () => {
  let db: Knex;
  let tenantId: string;

  before(async () => {
    db = await testDb();
  });
  beforeEach(async () => {
    tenantId = (await newTenant(db)).id;
  });

  const actor = () => operator(tenantId);

  async function ana() {
    const { users, revoked, signIn, forgiven } = people(db);
    const input = { email: EMAIL, password: GOOD_PASSWORD, claims: { name: 'Ana' } };
    const { id } = await users.create(actor(), input);
    const passwordWorks = async (isKnownBrowser = false) =>
      (await signIn.verify(visitor(tenantId), { email: EMAIL, password: GOOD_PASSWORD, isKnownBrowser })).ok;
    return { id, users, revoked, forgiven, passwordWorks };
  }

  const tablesWith = async (id: string) => {
    const counts = await Promise.all([
      db('users').where({ id }).count(),
      ...['user_profiles', 'password_credentials', 'consents', 'role_assignments'].map((table) =>
        db(table).where({ user_id: id }).count(),
      ),
    ]);
    return counts.map(([row]) => Number(row?.['count']));
  };

  it('allows exactly the transitions of the table', () => {
    const all: UserStatus[] = ['pending', 'active', 'locked', 'disabled', 'deleted'];

    const allowed = Object.fromEntries(all.map((from) => [from, all.filter((to) => canBecome(from, to))]));

    assert.deepEqual(allowed, {
      pending: ['active', 'disabled', 'deleted'],
      active: ['locked', 'disabled', 'deleted'],
      locked: ['active', 'disabled', 'deleted'],
      disabled: ['active', 'deleted'],
      deleted: ['disabled'],
    });
  });

  it('an administrator locks: all access ends, no browser gets in, and unlocking opens it', async () => {
    const { id, users, revoked, passwordWorks } = await ana();

    assert.equal(await users.lock(actor(), id, { cause: 'administrator', reason: 'stolen_laptop' }), true);

    assert.deepEqual(revoked, [id]);
    assert.equal(await passwordWorks(), false);
    assert.equal(await passwordWorks(true), false);
    const [event] = await eventsOf(db, tenantId, 'auth.account_locked');
    assert.partialDeepStrictEqual(event, { target_id: id, reason: 'stolen_laptop' });
    await users.unlock(actor(), id, { reason: 'administrator' });
    assert.equal(await passwordWorks(), true);
  });

  it('guessing locks: nothing ends, and only a browser of the person gets in', async () => {
    const { id, users, revoked, passwordWorks } = await ana();

    await users.lock(visitor(tenantId), id, { cause: 'guessing', seconds: 60 });

    assert.deepEqual(revoked, []);
    assert.equal(await passwordWorks(), false);
    assert.equal(await passwordWorks(true), true);
    const { status, lockCause, lockedUntil } = await users.get(actor(), id);
    assert.deepEqual([status, lockCause], ['locked', 'guessing']);
    assert.ok(lockedUntil && lockedUntil > new Date());
  });

  it('of many locks at once one happens; an administrator tightens a lock, guessing loosens none', async () => {
    const { id, users, revoked } = await ana();
    const guessed = () => users.lock(visitor(tenantId), id, { cause: 'guessing', seconds: 60 });

    const outcomes = await Promise.all(Array.from({ length: 20 }, guessed));
    const tightened = await users.lock(actor(), id, { cause: 'administrator' });
    const loosened = await guessed();

    assert.equal(outcomes.filter(Boolean).length, 1);
    assert.deepEqual([tightened, loosened], [true, false]);
    assert.deepEqual(revoked, [id]);
    const { lockCause, lockedUntil } = await users.get(actor(), id);
    assert.deepEqual([lockCause, lockedUntil], ['administrator', null]);
    assert.equal((await eventsOf(db, tenantId, 'auth.account_locked')).length, 2);
  });

  it('nobody is locked who cannot sign in anyway', async () => {
    const { id, users } = await ana();
    await users.disable(actor(), id);

    assert.equal(await users.lock(actor(), id, { cause: 'administrator' }), false);

    assert.equal((await users.get(actor(), id)).status, 'disabled');
  });

  it('unlocking forgets failed sign-ins in any case, and lifts no administrator’s decision to disable', async () => {
    const { id, users, forgiven } = await ana();
    await users.disable(actor(), id);

    const user = await users.unlock(actor(), id, { reason: 'administrator' });
    await users.unlock(actor(), id, { reason: 'mail' });

    assert.equal(user.status, 'disabled');
    assert.deepEqual(forgiven, [EMAIL, EMAIL]);
    assert.equal((await eventsOf(db, tenantId, 'user.unlocked')).length, 1);
  });

  it('deletes softly: nobody finds the user, and restoring brings everything back, disabled', async () => {
    const { id, users, passwordWorks } = await ana();
    await users.delete(actor(), id);
    await assert.rejects(users.get(actor(), id), { code: 'user.not_found' });
    assert.equal(await passwordWorks(), false);

    const restored = await users.restore(actor(), id);

    assert.equal(restored.status, 'disabled');
    assert.equal(await passwordWorks(), false);
    await users.enable(actor(), id);
    assert.equal(await passwordWorks(), true);
    assert.deepEqual((await users.getWithProfile(actor(), id)).profile.claims, { name: 'Ana' });
  });

  it('does not restore over somebody who has the address now, nor a user of another tenant', async () => {
    const { id, users } = await ana();
    await users.delete(actor(), id);
    const other = operator((await newTenant(db)).id);
    await assert.rejects(users.restore(other, id), { code: 'user.not_found', status: 404 });
    await users.create(actor(), { email: EMAIL });

    await assert.rejects(users.restore(actor(), id), { code: 'user.email_taken', status: 409 });
  });

  it('erases a deleted user everywhere but for the id in the audit trail, and nobody else', async () => {
    const { id, users } = await ana();
    await assert.rejects(users.erase(actor(), id), { code: 'user.not_found' });
    await users.delete(actor(), id);

    await users.erase(actor(), id);

    assert.deepEqual(await tablesWith(id), [0, 0, 0, 0, 0]);
    await assert.rejects(users.restore(actor(), id), { code: 'user.not_found' });
    const events = await eventsOf(db, tenantId);
    assert.deepEqual(
      events.map(({ type, target_id }) => [type, target_id]),
      [
        ['user.created', id],
        ['user.deleted', id],
        ['user.erased', id],
      ],
    );
    assert.doesNotMatch(JSON.stringify(events), /ana@example|"Ana"/);
  });

  it('on schedule: locks end at their time, and who was deleted long enough ago is erased', async () => {
    const { users } = people(db);
    const make = async (name: string) => (await users.create(actor(), { email: `${name}@example.com` })).id;
    const [due, later, forever] = [await make('due'), await make('later'), await make('forever')];
    for (const id of [due, later]) await users.lock(actor(), id, { cause: 'guessing', seconds: 3600 });
    await users.lock(actor(), forever, { cause: 'administrator' });
    await db('users')
      .where({ id: due })
      .update({ locked_until: new Date(0) });
    const [old, recent] = [await make('old'), await make('recent')];
    for (const id of [old, recent]) await users.delete(actor(), id);
    await db('users')
      .where({ id: old })
      .update({ deleted_at: db.raw("now() - interval '31 days'") });
    const job = () => createUserLifeCycleJob({ db, users, eraseDays: 30, log });

    // Two processes at once.
    await Promise.all([job(), job()].map((one) => one.run(new AbortController().signal)));

    const statuses = await Promise.all(
      [due, later, forever].map(async (id) => (await users.get(actor(), id)).status),
    );
    assert.deepEqual(statuses, ['active', 'locked', 'locked']);
    assert.deepEqual(
      (await db('users').whereIn('id', [old, recent])).map(({ id }) => id),
      [recent],
    );
    const [unlocked, ...more] = await eventsOf(db, tenantId, 'user.unlocked');
    assert.partialDeepStrictEqual(unlocked, { target_id: due, reason: 'time', actor_type: 'system' });
    assert.deepEqual(more, []);
    assert.equal((await eventsOf(db, tenantId, 'user.erased')).length, 1);
  });

  it('those who cannot be erased keep nobody else from it, and are tried again at the next run', async () => {
    const { users } = people(db);
    const MANY = 150;
    const { rows } = await db.raw<{ rows: { id: string }[] }>(
      `INSERT INTO users (id, tenant_id, email, status, deleted_at)
       SELECT gen_random_uuid(), ?::uuid, 'user-' || i || '@example.com', 'deleted', now() - interval '90 days' + i * interval '1 minute'
         FROM generate_series(1, ?::int) AS i RETURNING id`,
      [tenantId, MANY + 1],
    );
    const ids = rows.map(({ id }) => id);
    const last = ids.at(-1) ?? '';
    const failing = new Set(ids.slice(0, MANY));
    const job = createUserLifeCycleJob({
      db,
      users: {
        ...users,
        async erase(as, id) {
          if (failing.has(id)) throw new Error('the store failed');
          return users.erase(as, id);
        },
      },
      eraseDays: 30,
      log,
    });
    const left = () => db('users').where({ tenant_id: tenantId }).orderBy('deleted_at').pluck('id');

    await job.run(new AbortController().signal);
    assert.deepEqual(await left(), ids.slice(0, MANY));
    assert.ok(!(await left()).includes(last));

    failing.clear();
    await job.run(new AbortController().signal);
    assert.deepEqual(await left(), []);
  });
});
