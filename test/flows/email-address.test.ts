import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { GOOD_PASSWORD } from '../support/app.ts';
import { newAddress } from '../support/mail-app.ts';
import { linkIn } from '../support/smtp-sink.ts';
import { giveCode, startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import { bothWays, enterPortal, heading, look, openPage, TIMEOUT_MS } from './support.ts';

const NEW_PASSWORD = 'velvet harbour tundra nine';

describe('the e-mail address', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  /** At the profile of somebody whose address is not verified. */
  async function atProfile(javaScript: boolean) {
    const { users } = world.app.services;
    const page = await openPage({ javaScript });
    const user = await users.create(world.tenant.actor, { email: newAddress(), password: GOOD_PASSWORD });
    await enterPortal(page, world, user, '/profile');
    return { page, user, row: () => users.get(world.tenant.actor, user.id) };
  }

  async function sendCode(page: Page): Promise<void> {
    await page.getByRole('button', { name: 'Confirm this address' }).click();
    await heading(page, 'Enter the code');
  }

  bothWays('is confirmed by the code that was mailed', async (javaScript) => {
    const { page, user, row } = await atProfile(javaScript);
    await look(page, 'profile-unverified');
    await sendCode(page);
    await look(page, 'verify-email');

    await giveCode(page, '000000');
    await page.getByRole('alert').getByText('That code is not right').waitFor();
    await look(page, 'verify-email-wrong');
    await giveCode(page, await world.codeTo(user.email));
    await page.getByText('Your email address is confirmed.').waitFor();
    await look(page, 'profile-verified');

    assert.ok((await row()).emailVerifiedAt);
  });

  bothWays('is confirmed by the link, on another device', async (javaScript) => {
    const { page, user, row } = await atProfile(javaScript);
    await sendCode(page);
    const phone = await openPage({ javaScript, width: 360 });

    await phone.goto(linkIn(await world.sink.mailTo(user.email)));
    await heading(phone, 'Confirm your address');
    await look(phone, 'verify-email-link');
    const before = await row();
    await phone.getByRole('button', { name: 'Confirm the address' }).click();
    await heading(phone, 'Your address is confirmed');

    assert.equal(before.emailVerifiedAt, null);
    assert.ok((await row()).emailVerifiedAt);
  });

  bothWays('is changed, and changed back by who reads the former one', async (javaScript) => {
    const { page, user, row } = await atProfile(javaScript);
    const newEmail = newAddress('example.org');
    await page.getByRole('link', { name: 'Change email address' }).click();
    await heading(page, 'Change email address');
    await look(page, 'change-email');

    await page.getByLabel('New email address').fill(newEmail);
    await page.getByRole('button', { name: 'Continue' }).click();
    await heading(page, 'Enter the code');
    await look(page, 'change-email-code');
    await giveCode(page, await world.codeTo(newEmail));
    await page.getByText('Your email address is confirmed.').waitFor();
    const changed = (await row()).email;
    const owner = await openPage({ javaScript });
    await owner.goto(linkIn(await world.sink.mailTo(user.email)));
    await heading(owner, 'Undo the change');
    await look(owner, 'change-email-undo');
    await owner.getByLabel('New password').fill(NEW_PASSWORD);
    await owner.getByRole('button', { name: 'Undo and save' }).click();
    await heading(owner, 'The change is undone');
    await page.goto(`${world.tenant.issuer}/account`);
    await heading(page, /Choose an account|Sign in|Enter your password/);

    assert.equal(changed, newEmail);
    assert.equal((await row()).email, user.email);
  });
});
