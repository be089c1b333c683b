import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { createPasswordChange } from '../../src/account-portal/change-password.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createPasswordSignIn } from '../../src/users/password-sign-in.ts';
import { passwordStore } from '../../src/users/password-store.ts';
import { newTenant, testDb } from '../support/database.ts';
import { GOOD_PASSWORD, OTHER_PASSWORD, newHasher, operator, people, uncounted } from '../users/people.ts';

const THEIR_OWN = 'quiet granite meadow 22';

describe('changing one’s password', () => {
  const real = newHasher();
  let db: Knex;
  before(async () => {
    db = await testDb();
  });

  /** The person changes it, and something else happens while the current one is checked, or the new one is hashed. */
  async function changeWhile(place: 'verify' | 'hash', happens: (user: { id: string }) => Promise<unknown>) {
    const tenantId = (await newTenant(db)).id;
    const { users } = people(db, real);
    const user = await users.create(operator(tenantId), {
      email: 'ana@example.com',
      password: GOOD_PASSWORD,
    });
    let isDone = false;
    const once = async () => {
      if (isDone) return;
      isDone = true;
      await happens(user);
    };
    const slow = {
      ...real,
      async verify(...given: Parameters<typeof real.verify>) {
        if (place === 'verify') await once();
        return real.verify(...given);
      },
      async hash(password: string) {
        const stored = await real.hash(password);
        if (place === 'hash') await once();
        return stored;
      },
    };
    const change = createPasswordChange({
      db,
      usersOn: (trx) => people(trx, slow).users,
      signIn: createPasswordSignIn({ db, now: systemClock, hasher: slow, attempts: uncounted }),
      enqueueMail: undefined,
    });
    const actor = { tenantId, type: 'user' as const, id: user.id };
    const asked = { current: GOOD_PASSWORD, next: THEIR_OWN, locale: 'en' };
    const outcome = await change.change({ actor, user }, asked);
    const stored = (await passwordStore(db, tenantId).findSignIn(user.email))?.password;
    const isNow = (password: string) => real.verify(password, stored);
    return { outcome, isNow };
  }

  for (const place of ['verify', 'hash'] as const) {
    it(`does not replace one that somebody else has set meanwhile: ${place}`, async () => {
      const { outcome, isNow } = await changeWhile(place, async ({ id }) => {
        const { tenant_id: tenantId } = await db('users').where({ id }).first('tenant_id');
        await people(db, real).users.setPassword(operator(tenantId), id, OTHER_PASSWORD, {
          keepsAccess: true,
        });
      });

      assert.deepEqual(outcome, { ok: false, reason: 'mismatch' });
      assert.ok(await isNow(OTHER_PASSWORD));
    });

    it(`happens all the same where only sessions have ended meanwhile: ${place}`, async () => {
      const { outcome, isNow } = await changeWhile(place, ({ id }) =>
        db('users').where({ id }).increment('access_version'),
      );

      assert.deepEqual(outcome, { ok: true });
      assert.ok(await isNow(THEIR_OWN));
    });
  }
});
