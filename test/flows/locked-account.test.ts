import assert from 'node:assert/strict';
import { giveCode, startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import {
  allow,
  arrival,
  bothWays,
  giveEmail,
  givePassword,
  heading,
  look,
  openPage,
  TIMEOUT_MS,
} from './support.ts';

const GUESSES = 3;
const NEW_PASSWORD = 'seven wandering lighthouses hum';

describe('an account that somebody guesses at', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld({
      GATEHOUSE_RATE_LIMITS: 'on',
      GATEHOUSE_RATE_LIMIT_FORMS: '1000',
      GATEHOUSE_SIGN_IN_ATTEMPTS: String(GUESSES),
      GATEHOUSE_SIGN_IN_LOCK_AFTER: String(GUESSES),
    });
  });

  after(() => world.close());

  bothWays('is locked, says only to wait, and is opened by its owner’s mail', async (javaScript) => {
    const [page, party] = [await openPage({ javaScript }), await world.party()];
    const status = async () => (await world.app.services.users.get(world.tenant.actor, party.user.id)).status;
    await party.start(page);
    await giveEmail(page, party.user.email);
    await heading(page, 'Enter your password');

    for (let guesses = 0; guesses < GUESSES; guesses += 1) {
      await givePassword(page, `not this one ${guesses}`);
      await page.getByRole('alert').getByText('That email and password don’t match').waitFor();
    }
    await givePassword(page);
    await page.getByRole('alert').getByText('There were too many attempts').waitFor();
    await look(page, 'locked');
    const locked = await status();
    await page.getByRole('link', { name: 'Reset your password', exact: true }).click();
    await page.getByRole('button', { name: 'Send code' }).click();
    await giveCode(page, await world.codeTo(party.user.email));
    await heading(page, 'Choose a new password');
    await page.getByLabel('New password').fill(NEW_PASSWORD);
    await page.getByRole('button', { name: 'Save and sign in' }).click();
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
    assert.deepEqual([locked, await status()], ['locked', 'active']);
  });
});
