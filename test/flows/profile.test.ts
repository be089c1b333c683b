import assert from 'node:assert/strict';
import {
  allow,
  arrival,
  bothWays,
  heading,
  look,
  openPage,
  signIn,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { World } from './support.ts';

describe('what a profile lacks', function () {
  this.timeout(TIMEOUT_MS);
  let world: World;

  before(async () => {
    world = await startWorld();
    const { app, tenant } = world;
    await app.services.tenants.update(tenant.actor, tenant.tenant.slug, {
      settings: { profileFields: ['phone_number'] },
    });
    await app.registry.refresh();
  });

  after(() => world.close());

  bothWays('is asked for after a sign-in, and leads on into the app', async (javaScript) => {
    const [page, party] = [await openPage({ javaScript }), await world.party()];
    await party.start(page);
    await signIn(page, party.user.email);

    await heading(page, 'Complete your profile');
    await look(page, 'profile-lacks');
    await page.getByLabel('Phone number').fill('+351 912 345 678');
    await page.getByRole('button', { name: 'Save and continue' }).click();
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
    const profile = await world.app.db('user_profiles').where({ user_id: party.user.id }).first();
    assert.equal(profile.claims.phone_number, '+351 912 345 678');
  });

  bothWays('need not be told', async (javaScript) => {
    const [page, party] = [await openPage({ javaScript }), await world.party()];
    await party.start(page);
    await signIn(page, party.user.email);

    await heading(page, 'Complete your profile');
    await page.getByRole('button', { name: 'Not now' }).click();
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });
});
