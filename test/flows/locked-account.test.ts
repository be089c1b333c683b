import assert from 'node:assert/strict';
import { linkIn } from '../support/smtp-sink.ts';
import type { ReceivedMail } from '../support/smtp-sink.ts';
import { giveNewPassword, startMailWorld } from './mail-world.ts';
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

  /** At the page of the password, with an account that has just been locked. */
  async function guess(javaScript: boolean) {
    const [page, party] = [await openPage({ javaScript }), await world.party()];
    const { email, id } = party.user;
    await party.start(page);
    await giveEmail(page, email);
    await heading(page, 'Enter your password');
    for (let guesses = 0; guesses < GUESSES; guesses += 1) {
      await givePassword(page, `not this one ${guesses}`);
      await page.getByRole('alert').getByText('That email and password don’t match').waitFor();
    }
    const status = async () => (await world.app.services.users.get(world.tenant.actor, id)).status;
    assert.equal(await status(), 'locked');
    return { page, party, status };
  }

  bothWays('is unlocked by the link that its owner gets, on another device', async (javaScript) => {
    const { page, party, status } = await guess(javaScript);
    const phone = await openPage({ javaScript, width: 360 });

    await givePassword(page);
    await page.getByRole('alert').getByText('There were too many attempts').waitFor();
    await look(page, 'locked');
    await phone.goto(linkIn(await world.sink.mailTo(party.user.email)));
    await heading(phone, 'Unlock your account');
    await look(phone, 'unlock');
    const before = await status();
    await phone.getByRole('button', { name: 'Unlock the account' }).click();
    await heading(phone, 'Your account is unlocked');
    await look(phone, 'unlocked');
    await givePassword(page);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
    assert.deepEqual([before, await status()], ['locked', 'active']);
  });

  bothWays('is opened by the link of a password reset', async (javaScript) => {
    const { page, party, status } = await guess(javaScript);
    const before = world.sink.mails.length;

    await page.getByRole('link', { name: 'Reset your password', exact: true }).click();
    await page.getByRole('button', { name: 'Send code' }).click();
    await heading(page, 'Check your email');
    const isReset = ({ parsed }: ReceivedMail) => parsed.subject?.startsWith('Reset your') === true;
    await page.goto(linkIn(await world.sink.mailTo(party.user.email, before, isReset)));
    await page.getByRole('button', { name: 'Continue' }).click();
    await giveNewPassword(page, NEW_PASSWORD);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
    assert.equal(await status(), 'active');
  });
});
