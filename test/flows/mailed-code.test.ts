import assert from 'node:assert/strict';
import { linkIn } from '../support/smtp-sink.ts';
import { askForCode, giveCode, startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import { allow, arrival, bothWays, giveEmail, heading, look, openPage, TIMEOUT_MS } from './support.ts';

describe('signing in by a mailed code', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  const ask = (options?: Parameters<typeof askForCode>[2]) =>
    askForCode(world, { link: 'Email me a code instead', title: 'Sign in with a code' }, options);

  bothWays('leads back into the app', async (javaScript) => {
    const { page, party } = await ask({ javaScript });

    await look(page, 'sign-in-code');
    await page.goBack();
    await heading(page, 'Sign in with a code');
    await look(page, 'sign-in-code-send');
    await page.goForward();
    await giveCode(page, await world.codeTo(party.user.email));
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
    const login = await world.app
      .db('events')
      .where({ type: 'user.login', target_id: party.user.id })
      .first();
    assert.deepEqual(login.data.amr, ['otp']);
  });

  bothWays('goes by the link as well; in another browser it tells what to do', async (javaScript) => {
    const { page, party } = await ask({ javaScript });
    const link = linkIn(await world.sink.mailTo(party.user.email));

    const elsewhere = await openPage({ javaScript });
    await elsewhere.goto(link);
    await heading(elsewhere, 'Go back to where you began');
    await look(elsewhere, 'link-elsewhere');
    await page.goto(link);
    await page.getByRole('button', { name: 'Continue' }).click();
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  it('is not offered where the tenant does not want it', async () => {
    const { tenant, party } = await world.elsewhere();
    await world.app.services.tenants.update(tenant.actor, tenant.tenant.slug, {
      settings: { magicLink: false },
    });
    const [page, someone] = [await openPage(), await party()];
    await someone.start(page);
    await giveEmail(page, someone.user.email);
    await heading(page, 'Enter your password');

    assert.equal(await page.getByRole('link', { name: 'Email me a code instead' }).count(), 0);
  });
});
