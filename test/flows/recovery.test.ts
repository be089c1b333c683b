import assert from 'node:assert/strict';
import { linkIn } from '../support/smtp-sink.ts';
import { askForCode, giveCode, giveNewPassword, startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import {
  allow,
  arrival,
  bothWays,
  giveEmail,
  givePassword,
  heading,
  inspect,
  look,
  openPage,
  signIn,
  TIMEOUT_MS,
} from './support.ts';

const NEW_PASSWORD = 'seven wandering lighthouses hum';

describe('a forgotten password', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  const ask = (options?: Parameters<typeof askForCode>[2]) =>
    askForCode(world, { link: 'Reset your password', title: 'Reset your password' }, options);

  bothWays('is replaced by way of a code, and leads back into the app', async (javaScript) => {
    const { page, party } = await ask({ javaScript });

    await giveCode(page, await world.codeTo(party.user.email));
    await heading(page, 'Choose a new password');
    assert.equal(await page.getByLabel('Sign out everywhere else').isChecked(), true);
    const before = world.sink.mails.length;
    await giveNewPassword(page, NEW_PASSWORD);
    await allow(page);
    assert.ok((await arrival(page, world))['code']);

    const notice = await world.sink.mailTo(party.user.email, before);
    assert.match(notice.parsed.subject ?? '', /password was changed/);
    const again = await openPage();
    await party.start(again);
    await signIn(again, party.user.email);
    await again.getByRole('alert').waitFor();
    await givePassword(again, NEW_PASSWORD);
    assert.ok((await arrival(again, world))['code']);
  });

  bothWays('is replaced by way of the link on another device', async (javaScript) => {
    const { page, party } = await ask({ javaScript });
    const phone = await openPage({ javaScript, width: 360 });

    await phone.goto(linkIn(await world.sink.mailTo(party.user.email)));
    await heading(phone, 'Choose a new password');
    await look(phone, 'recovery-elsewhere');
    await phone.getByLabel('New password').fill(NEW_PASSWORD);
    await phone.getByRole('button', { name: 'Save the password' }).click();
    await heading(phone, 'Your password is changed');
    await look(phone, 'recovery-elsewhere-done');
    // Where it was asked for, the page that waits for the code does not know yet.
    await page.getByRole('link', { name: 'Use another address' }).click();
    await page.getByRole('link', { name: 'Sign in instead' }).click();
    await signIn(page, party.user.email, NEW_PASSWORD);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  bothWays('is replaced by way of the link in the same browser', async (javaScript) => {
    const { page, party } = await ask({ javaScript });
    const link = linkIn(await world.sink.mailTo(party.user.email));
    await fetch(link, { redirect: 'manual' });

    const tab = await page.context().newPage();
    await tab.goto(link);
    await heading(tab, 'Continue here');
    await look(tab, 'recovery-link');
    await tab.reload();
    await tab.getByRole('button', { name: 'Continue' }).click();
    await giveNewPassword(tab, NEW_PASSWORD);
    await allow(tab);

    assert.ok((await arrival(tab, world))['code']);
  });

  it('says what is wrong with a code, and that it has an end', async () => {
    const { page, party } = await ask();
    const code = await world.codeTo(party.user.email);
    const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, '0');

    for (let tries = 0; tries < 5; tries += 1) {
      await giveCode(page, wrong);
      await page.getByRole('alert').getByText('That’s not the code').waitFor();
    }
    await inspect(page, 'recovery-wrong-code');
    await giveCode(page, code);
    await page.getByRole('alert').getByText('can’t be used any more').waitFor();

    assert.match(await page.title(), /^Error: Check your email/);
  });

  it('says what is wrong with a password, and keeps the proof', async () => {
    const { page, party } = await ask();
    await giveCode(page, await world.codeTo(party.user.email));
    await heading(page, 'Choose a new password');
    await page.evaluate('document.forms[0].noValidate = true');

    await page.getByLabel('New password').fill('short');
    await page.getByRole('button', { name: 'Save and sign in' }).click();
    await page.getByRole('alert').getByText('Use at least 15 characters').waitFor();
    await inspect(page, 'recovery-short-password');
    await giveNewPassword(page, NEW_PASSWORD);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  it('looks alike for an address that nobody has', async () => {
    const { page } = await ask();
    const known = await page.content();
    const stranger = await openPage();
    const party = await world.party();
    await party.start(stranger);
    await giveEmail(stranger, 'nobody00@example.com');
    await stranger.getByRole('link', { name: 'Reset your password' }).click();
    await stranger.getByRole('button', { name: 'Send code' }).click();
    await heading(stranger, 'Check your email');

    const plain = (html: string) =>
      html
        .replaceAll(/[\w.]+@example\.com/g, '<email>')
        .replaceAll(/interaction\/[\w-]+/g, '<uid>')
        .replaceAll(/value="[^"]*"/g, '')
        .replaceAll(/data-resend-in="\d+"|in \d+ seconds/g, '');
    assert.equal(plain(await stranger.content()), plain(known));
    await giveCode(stranger, '123456');
    await stranger.getByRole('alert').getByText('That’s not the code').waitFor();
    assert.ok(world.sink.mails.every(({ recipients }) => !recipients.includes('nobody00@example.com')));
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1280, 360]) {
      it(`has pages without fault in ${colorScheme} colours at ${width} px`, async () => {
        const name = (screen: string) => `recovery-${screen}-${colorScheme}-${width}`;
        const page = await openPage({ colorScheme, width });
        const party = await world.party();
        await party.start(page);
        await giveEmail(page, party.user.email);
        await heading(page, 'Enter your password');
        await inspect(page, name('password'));
        await page.getByRole('link', { name: 'Reset your password' }).click();
        await heading(page, 'Reset your password');
        await inspect(page, name('forgot'));
        await page.getByRole('button', { name: 'Send code' }).click();
        await heading(page, 'Check your email');
        await inspect(page, name('code'));
        await giveCode(page, await world.codeTo(party.user.email));
        await heading(page, 'Choose a new password');
        await inspect(page, name('new-password'));
      });
    }
  }
});
