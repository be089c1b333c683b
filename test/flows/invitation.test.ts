import assert from 'node:assert/strict';
import { newAddress } from '../support/mail-app.ts';
import { linkIn } from '../support/smtp-sink.ts';
import { startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import { allow, arrival, bothWays, heading, look, openPage, signIn, TIMEOUT_MS } from './support.ts';

const PASSWORD = 'seven wandering lighthouses hum';

describe('an invitation', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  async function invite() {
    const email = newAddress();
    const { id } = await world.app.services.invitations.invite(world.tenant.actor, { email, locale: 'en' });
    return { id, email, link: linkIn(await world.sink.mailTo(email)) };
  }

  bothWays('is accepted with a password, once, and opens the apps', async (javaScript) => {
    const [page, party, { email, link }] = [
      await openPage({ javaScript }),
      await world.party(),
      await invite(),
    ];

    await page.goto(link);
    await heading(page, 'You’re invited');
    await look(page, 'invitation');
    await page.getByLabel('New password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Accept the invitation' }).click();
    await heading(page, 'Welcome');
    await look(page, 'invitation-accepted');
    await page.goto(link);
    await heading(page, 'This link was already used');
    await look(page, 'invitation-used');
    await party.start(page);
    await signIn(page, email, PASSWORD);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  bothWays('that has expired is sent again by one button', async (javaScript) => {
    const [page, { id, email, link }] = [await openPage({ javaScript }), await invite()];
    await world.app.db('one_time_tokens').where({ user_id: id }).update({ created_at: '2020-01-01' });
    await world.app.db('mails').where({ recipient: email }).update({ status: 'sent', sent_at: '2020-01-01' });
    const before = world.sink.mails.length;

    await page.goto(link);
    await heading(page, 'This link has expired');
    await look(page, 'invitation-expired');
    await page.getByRole('button', { name: 'Send a new invitation' }).click();
    await heading(page, 'Look into your inbox');
    await look(page, 'invitation-renewed');
    await page.goto(linkIn(await world.sink.mailTo(email, before)));
    await page.getByLabel('New password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Accept the invitation' }).click();
    await heading(page, 'Welcome');

    const { status } = await world.app.services.users.get(world.tenant.actor, id);
    assert.equal(status, 'active');
  });
});
