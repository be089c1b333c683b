import assert from 'node:assert/strict';
import { linkIn } from '../support/smtp-sink.ts';
import { startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import { bothWays, enterPortal, heading, look, openPage, TIMEOUT_MS } from './support.ts';

describe('the devices somebody is signed in on', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  bothWays('are told of by mail, and signed out one by one or all others', async (javaScript) => {
    const { user } = await world.party();
    const [page, phone, tablet] = [
      await openPage({ javaScript }),
      await openPage({ width: 360 }),
      await openPage({ width: 820 }),
    ];
    await enterPortal(page, world, user);
    for (const device of [phone, tablet]) await enterPortal(device, world, user);
    const signOut = page.getByRole('button', { name: /^Sign out ?:/ });

    await page.goto(linkIn(await world.sink.mailTo(user.email)));
    await heading(page, 'Devices');
    await look(page, 'devices');
    const before = await signOut.count();
    await signOut.first().click();
    await page.getByText('That device was signed out.').waitFor();
    await look(page, 'devices-one-less');
    const between = await signOut.count();
    await page.getByRole('button', { name: 'Sign out all others' }).click();
    await page.getByText('You are signed out everywhere else.').waitFor();
    await look(page, 'devices-none-else');

    assert.deepEqual([before, between, await signOut.count()], [2, 1, 0]);
    for (const device of [phone, tablet]) {
      await device.goto(`${world.tenant.issuer}/account`);
      await heading(device, 'Enter your password');
    }
    await page.goto(`${world.tenant.issuer}/account`);
    await heading(page, /Hello/);
  });
});
