import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { recordEvent } from '../../src/events/record-event.ts';
import type { Actor } from '../../src/http/actor.ts';
import { newTenant, testDb } from '../support/database.ts';

describe('recordEvent', () => {
  let db: Knex;
  let actor: Actor;

  beforeEach(async () => {
    db = await testDb();
    const tenant = await newTenant(db);
    actor = { tenantId: tenant.id, type: 'user', id: 'user-1' };
  });

  const events = () => db('events').where({ tenant_id: actor.tenantId }).orderBy('id');

  it('keeps who did what to whom, why, and from where', async () => {
    const visitor = { ...actor, ip: '192.0.2.7', userAgent: 'Browser/1', correlationId: 'req-1' };

    await recordEvent(db, visitor, 'user.updated', {
      target: { type: 'user', id: 'user-2' },
      reason: 'requested',
      data: { before: { locale: 'de' }, after: { locale: 'fr' } },
    });

    const [row] = await events();
    assert.deepEqual(
      { ...row, id: typeof row.id, created_at: row.created_at instanceof Date, updated_at: undefined },
      {
        id: 'string',
        tenant_id: actor.tenantId,
        type: 'user.updated',
        actor_type: 'user',
        actor_id: 'user-1',
        target_type: 'user',
        target_id: 'user-2',
        reason: 'requested',
        data: { before: { locale: 'de' }, after: { locale: 'fr' } },
        ip: '192.0.2.7',
        user_agent: 'Browser/1',
        correlation_id: 'req-1',
        created_at: true,
        updated_at: undefined,
      },
    );
  });

  it('leaves no event when the change is rolled back', async () => {
    const change = db.transaction(async (trx) => {
      await recordEvent(trx, actor, 'user.created', {});
      throw new Error('the change failed');
    });

    await assert.rejects(change, /the change failed/);
    assert.deepEqual(await events(), []);
  });

  it('records whatever a visitor sends as address, user agent and text', async () => {
    const hostile = {
      ...actor,
      id: 'a\0b',
      ip: 'not an address',
      userAgent: `${'x'.repeat(511)}\u{1f600}\0`,
      correlationId: '\0',
    };

    await recordEvent(db, hostile, 'user.login_failed', { data: { email: 'a\0b\ud800c', '\0': 1 } });

    const [row] = await events();
    assert.equal(row.ip, null);
    assert.equal(row.user_agent.length, 512);
    assert.equal(row.actor_id, 'a\ufffdb');
    assert.deepEqual(row.data, { email: 'a\ufffdb\ufffdc', '\ufffd': 1 });
  });

  const addresses: [string, string, string][] = [
    ['IPv4 that the socket maps into IPv6', '::ffff:192.0.2.7', '192.0.2.7'],
    ['IPv6 with a zone', 'fe80::1%eth0', 'fe80::1'],
    ['IPv6', '2001:db8::1', '2001:db8::1'],
  ];
  for (const [kind, ip, stored] of addresses) {
    it(`stores ${kind} as ${stored}`, async () => {
      await recordEvent(db, { ...actor, ip }, 'user.login', {});

      const [row] = await events();
      assert.equal(row.ip, stored);
    });
  }
});
