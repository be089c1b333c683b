import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { administrators } from '../../src/access/administrators.ts';
import { AppError } from '../../src/lib/errors.ts';
import { later, minutes } from '../../src/lib/clock.ts';
import { newId, newSecret, sha256 } from '../../src/lib/ids.ts';
import { newTenant, testDb } from '../support/database.ts';
import { GOOD_PASSWORD, eventsOf, operator, people, visitor } from '../users/people.ts';
import { setupOn, tokenOf } from './setup.ts';

describe('set-up service', () => {
  let db: Knex;
  let tenantId: string;
  let slug: string;
  const ana = { email: 'ana@example.com', name: 'Ana', password: GOOD_PASSWORD };

  before(async () => {
    db = await testDb();
  });

  beforeEach(async () => {
    ({ id: tenantId, slug } = await newTenant(db));
  });

  it('issues a link of 256 bits for 30 minutes, stores only its hash, and records it without the link', async () => {
    const at = new Date('2030-05-01T12:00:00Z');
    const setup = setupOn(db, () => at);

    const { url, expiresAt } = await setup.issueLink(operator(tenantId));

    assert.match(url, new RegExp(`^https://auth\\.example/t/${slug}/setup\\?token=[\\w-]{43}$`));
    assert.equal(expiresAt.toISOString(), '2030-05-01T12:30:00.000Z');
    const rows = await db('one_time_tokens').where({ tenant_id: tenantId });
    assert.equal(rows.length, 1);
    assert.deepEqual(rows[0].token_hash, sha256(tokenOf(url)));
    const events = await eventsOf(db, tenantId, 'admin.link_issued');
    assert.equal(events.length, 1);
    assert.ok(!JSON.stringify([rows, events]).includes(tokenOf(url)));
  });

  it('makes an administrator who can sign in, and records who and by which means', async () => {
    const setup = setupOn(db);
    const { url } = await setup.issueLink(operator(tenantId));
    const before = await setup.isNeeded(tenantId);

    const user = await setup.complete(visitor(tenantId), tokenOf(url), ana);

    assert.deepEqual([before, await setup.isNeeded(tenantId)], [true, false]);
    assert.equal(user.status, 'active');
    const { profile } = await people(db).users.getWithProfile(operator(tenantId), user.id);
    assert.deepEqual(profile.claims, { name: 'Ana' });
    assert.deepEqual(
      (await eventsOf(db, tenantId)).map(({ type, actor_type }) => [type, actor_type]),
      [
        ['admin.link_issued', 'operator'],
        ['user.created', 'anonymous'],
        ['admin.created', 'anonymous'],
      ],
    );
    assert.deepEqual(await setup.outcomeOf(tenantId, tokenOf(url)), { email: ana.email });
  });

  it('lets exactly one of 50 parallel attempts with a link succeed', async () => {
    const setup = setupOn(db);
    const { url } = await setup.issueLink(operator(tenantId));

    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) =>
        setup.complete(visitor(tenantId), tokenOf(url), { ...ana, email: `admin-${index}@example.com` }),
      ),
    );

    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    assert.equal(refused.length, 49);
    for (const { reason } of refused) {
      assert.ok(reason instanceof AppError, String(reason));
      assert.equal(reason.code, 'setup.link_invalid');
      assert.equal(reason.status, 410);
    }
    assert.equal((await db('users').where({ tenant_id: tenantId })).length, 1);
    assert.equal((await db('role_assignments').where({ tenant_id: tenantId })).length, 1);
    assert.equal((await eventsOf(db, tenantId, 'admin.created')).length, 1);
  });

  it('does not use up the link when address, name or password are refused', async () => {
    const setup = setupOn(db);
    const { url } = await setup.issueLink(operator(tenantId));
    await people(db).users.create(operator(tenantId), { email: 'taken@example.com' });

    for (const [change, code] of [
      [{ password: 'short' }, 'password.unacceptable'],
      [{ password: 'ana@example.com' }, 'password.unacceptable'],
      [{ email: 'ana@evil@example.com' }, 'user.email_invalid'],
      [{ email: 'Taken@example.com' }, 'user.email_taken'],
      [{ name: ' ' }, 'user.claims_invalid'],
    ] as const) {
      await assert.rejects(setup.complete(visitor(tenantId), tokenOf(url), { ...ana, ...change }), { code });
      assert.equal(await setup.inspect(tenantId, tokenOf(url)), 'open');
    }
    assert.equal(await setup.isNeeded(tenantId), true);
    await setup.complete(visitor(tenantId), tokenOf(url), ana);
    assert.equal(await setup.isNeeded(tenantId), false);
  });

  it('refuses a link that was used, has expired, was replaced, is of another tenant or never was', async () => {
    let at = new Date('2030-05-01T12:00:00Z');
    const setup = setupOn(db, () => at);
    const other = (await newTenant(db)).id;
    const replaced = await setup.issueLink(operator(tenantId));
    const used = await setup.issueLink(operator(tenantId));
    await setup.complete(visitor(tenantId), tokenOf(used.url), ana);
    const foreign = await setup.issueLink(operator(other));
    const expired = await setup.issueLink(operator(tenantId));
    at = later(at, minutes(30));

    for (const [url, state] of [
      [used.url, 'used'],
      [expired.url, 'expired'],
      [replaced.url, 'expired'],
      [foreign.url, 'expired'],
      ['https://auth.example/setup?token=never', 'expired'],
      ['https://auth.example/setup?token=', 'expired'],
      [`${used.url}x`, 'expired'],
    ] as const) {
      const token = tokenOf(url);
      const attempt = setup.complete(visitor(tenantId), token, { ...ana, email: 'eve@example.com' });
      await assert.rejects(attempt, { code: 'setup.link_invalid', status: 410 });
      assert.equal(await setup.inspect(tenantId, token), state);
    }
  });

  it('does not take a one-time token of another purpose', async () => {
    const setup = setupOn(db);
    const token = newSecret();
    await db('one_time_tokens').insert({
      id: newId(),
      tenant_id: tenantId,
      purpose: 'password_reset',
      token_hash: sha256(token),
      expires_at: later(new Date(), minutes(30)),
    });

    await setup.issueLink(operator(tenantId));

    assert.equal(await setup.inspect(tenantId, token), 'expired');
    await assert.rejects(setup.complete(visitor(tenantId), token, ana), {
      code: 'setup.link_invalid',
    });
    const [other] = await db('one_time_tokens').where({ tenant_id: tenantId, purpose: 'password_reset' });
    assert.ok(other.expires_at > new Date());
  });

  it('leaves one link open of 10 issued at the same time', async () => {
    const setup = setupOn(db);

    const links = await Promise.all(Array.from({ length: 10 }, () => setup.issueLink(operator(tenantId))));

    const states = await Promise.all(links.map(({ url }) => setup.inspect(tenantId, tokenOf(url))));
    assert.equal(states.filter((state) => state === 'open').length, 1);
  });

  it('makes another administrator where there is one already, and records it', async () => {
    const setup = setupOn(db);
    const first = await setup.issueLink(operator(tenantId));
    await setup.complete(visitor(tenantId), tokenOf(first.url), ana);

    const second = await setup.issueLink(operator(tenantId));
    await setup.complete(visitor(tenantId), tokenOf(second.url), { ...ana, email: 'rescue@example.com' });

    assert.equal((await db('role_assignments').where({ tenant_id: tenantId })).length, 2);
    assert.equal((await eventsOf(db, tenantId, 'admin.created')).length, 2);
  });

  it('is needed again once the only administrator was deleted, and not for one who is disabled', async () => {
    const setup = setupOn(db);
    const { users } = people(db);
    const { url } = await setup.issueLink(operator(tenantId));
    const admin = await setup.complete(visitor(tenantId), tokenOf(url), ana);

    await users.disable(operator(tenantId), admin.id);
    const afterDisabling = await setup.isNeeded(tenantId);
    await users.delete(operator(tenantId), admin.id);

    assert.equal(afterDisabling, false);
    assert.equal(await setup.isNeeded(tenantId), true);
  });

  it('tells who was made only to whoever holds the link, and only for ten minutes', async () => {
    let at = new Date();
    const setup = setupOn(db, () => at);
    const { url } = await setup.issueLink(operator(tenantId));
    await setup.complete(visitor(tenantId), tokenOf(url), ana);

    assert.equal(await setup.outcomeOf(tenantId, 'another'), undefined);
    assert.equal(await setup.outcomeOf((await newTenant(db)).id, tokenOf(url)), undefined);
    at = later(at, minutes(10));
    assert.equal(await setup.outcomeOf(tenantId, tokenOf(url)), undefined);
  });

  it('refuses to make an administrator of a user of another tenant', async () => {
    const other = (await newTenant(db)).id;
    const { id } = await people(db).users.create(operator(other), { email: 'ana@example.com' });

    await assert.rejects(administrators(db, tenantId).add(id), /no user/);

    assert.equal(await administrators(db, tenantId).exist(), false);
  });

  it('issues no link for a tenant that does not exist', async () => {
    await assert.rejects(setupOn(db).issueLink(operator(newId())), { code: 'setup.tenant_not_found' });
  });
});
