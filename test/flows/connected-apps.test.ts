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

describe('a connected app', function () {
  this.timeout(TIMEOUT_MS);
  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  bothWays('is shown with what it may do, and loses all of it', async (javaScript) => {
    const [page, party] = [await openPage({ javaScript }), await world.party()];
    await party.start(page, { scope: 'openid email offline_access', prompt: 'consent' });
    await signIn(page, party.user.email);
    await allow(page);
    const { code = '' } = await arrival(page, world);
    const { body: tokens } = await party.redeem(code);

    await page.goto(`${world.tenant.issuer}/account/apps`);
    await heading(page, 'Connected apps');
    await look(page, 'apps');
    const told = await page.getByText('Your email address').count();
    await page.getByRole('button', { name: 'Remove access' }).click();
    await page.getByText('The app has no access any more.').waitFor();
    await look(page, 'apps-none');
    const refreshed = await party.refresh(tokens.refresh_token ?? '');
    await page.getByRole('link', { name: 'Activity' }).first().click();
    await heading(page, 'Activity');
    await look(page, 'activity');

    assert.equal(told, 1);
    assert.equal(refreshed.body.error, 'invalid_grant');
    assert.equal(await page.getByText('You took an app’s access back.').count(), 1);
    await party.start(page);
    await heading(page, /wants to access/);
  });
});
