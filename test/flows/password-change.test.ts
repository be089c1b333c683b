import assert from 'node:assert/strict';
import { systemActor } from '../../src/http/actor.ts';
import { GOOD_PASSWORD } from '../support/app.ts';
import { newAddress } from '../support/mail-app.ts';
import { startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import { bothWays, enterPortal, heading, look, openPage, signIn, TIMEOUT_MS } from './support.ts';

const NEW_PASSWORD = 'velvet harbour tundra nine';

describe('the password', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  bothWays('is changed from where managers look for it, and ends what it began', async (javaScript) => {
    const { tenants, users } = world.app.services;
    const { id } = await tenants.ensureDefault();
    const home = { tenant: { issuer: world.app.url } };
    const user = await users.create(systemActor(id), { email: newAddress(), password: GOOD_PASSWORD });
    const [page, other] = [await openPage({ javaScript }), await openPage()];
    await enterPortal(other, home, user);

    await page.goto(`${world.app.url}/.well-known/change-password`);
    await signIn(page, user.email);
    await heading(page, 'Change password');
    await look(page, 'change-password');
    await page.getByLabel('Current password').fill('not this one at all');
    await page.getByLabel('New password').fill(NEW_PASSWORD);
    await page.getByRole('button', { name: 'Change password' }).click();
    await page.getByRole('alert').first().waitFor();
    await look(page, 'change-password-mismatch');
    const before = world.sink.mails.length;
    await page.getByLabel('Current password').fill(GOOD_PASSWORD);
    await page.getByLabel('New password').fill(NEW_PASSWORD);
    await page.getByRole('button', { name: 'Change password' }).click();
    await page.getByText('Your password was changed.').first().waitFor();
    await look(page, 'password-changed');
    const notice = await world.sink.mailTo(user.email, before);
    await page.getByRole('button', { name: 'Sign out all others' }).click();
    await page.getByText('You are signed out everywhere else.').waitFor();
    await other.goto(`${world.app.url}/account`);
    await heading(other, 'Enter your password');

    assert.match(notice.parsed.subject ?? '', /password was changed/);
    assert.equal(new URL(page.url()).searchParams.get('done'), 'others');
  });
});
