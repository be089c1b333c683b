import { newAddress } from '../support/mail-app.ts';
import { growStale } from '../support/stale-session.ts';
import { giveCode, startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import { bothWays, giveEmail, heading, look, openPage, signIn, TIMEOUT_MS } from './support.ts';

const PASSWORD = 'velvet harbour tundra nine';

describe('an account without a password', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  bothWays('signs in and proves itself by code, and gets one at the portal', async (javaScript) => {
    const page = await openPage({ javaScript });
    const home = `${world.tenant.issuer}/account`;
    const { id, email } = await world.app.services.users.create(world.tenant.actor, { email: newAddress() });
    await page.goto(`${home}/security`);
    await giveEmail(page, email);
    await page.getByRole('link', { name: 'Email me a code instead' }).click();
    await page.getByRole('button', { name: 'Send code' }).click();
    await giveCode(page, await world.codeTo(email));
    await heading(page, 'Security');
    await look(page, 'security-no-password');
    await growStale(world.app.db, id);

    await page.getByRole('link', { name: 'Set a password' }).click();
    await heading(page, 'Confirm it’s you');
    await look(page, 'confirm-by-code');
    const before = world.sink.mails.length;
    await page.getByRole('button', { name: 'Send code' }).click();
    await giveCode(page, await world.codeTo(email, before));
    await heading(page, 'Set a password');
    await look(page, 'first-password');
    await page.getByLabel('New password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Set a password' }).click();
    await page.getByText('Your password is set.').waitFor();
    const elsewhere = await openPage({ javaScript });
    await elsewhere.goto(home);
    await signIn(elsewhere, email, PASSWORD);

    await heading(elsewhere, /Hello/);
  });
});
