import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { linkIn } from '../support/smtp-sink.ts';
import { giveCode, startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import { allow, arrival, bothWays, heading, inspect, openPage, TIMEOUT_MS } from './support.ts';

const PASSWORD = 'seven wandering lighthouses hum';

describe('signing up', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  async function giveAddress(page: Page, address: string): Promise<void> {
    await heading(page, 'Create your account');
    await page.getByLabel('Email').fill(address);
    await page.getByRole('button', { name: 'Send code' }).click();
    await heading(page, 'Check your email');
  }

  async function giveProfile(page: Page): Promise<void> {
    await heading(page, 'Almost done');
    await page.getByLabel('Your name').fill('Ana Lovelace');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Create account' }).click();
  }

  const usersAt = (email: string) => world.app.db('users').whereRaw('lower(email) = lower(?)', [email]);

  bothWays('makes an account with a proved address and leads back into the app', async (javaScript) => {
    const [page, party] = [await openPage({ javaScript }), await world.party()];
    const email = `new-${javaScript}@example.com`;
    await party.start(page, { scope: 'openid email profile' });
    await page.getByRole('link', { name: 'Create an account' }).click();
    await giveAddress(page, email);
    const before = (await usersAt(email)).length;

    await giveCode(page, await world.codeTo(email));
    await giveProfile(page);
    await allow(page);
    const { code = '' } = await arrival(page, world);
    const tokens = await party.redeem(code);

    const [user] = await usersAt(email);
    assert.equal(before, 0);
    assert.equal(user.status, 'active');
    assert.ok(user.email_verified_at);
    assert.ok(tokens.body.id_token);
  });

  bothWays('goes on by the link of the mail as well', async (javaScript) => {
    const [page, party] = [await openPage({ javaScript }), await world.party()];
    const email = `link-${javaScript}@example.com`;
    await party.start(page, { prompt: 'create' });
    await giveAddress(page, email);

    await page.goto(linkIn(await world.sink.mailTo(email)));
    await heading(page, 'Continue here');
    await page.getByRole('button', { name: 'Continue' }).click();
    await giveProfile(page);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
    assert.ok((await usersAt(email))[0].email_verified_at);
  });

  it('begins where the app asks for it (prompt=create), and ends there', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page, { prompt: 'create' });

    await giveAddress(page, 'created@example.com');
    await giveCode(page, await world.codeTo('created@example.com'));
    await giveProfile(page);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  it('tells who has an account by mail and not by the page', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page, { prompt: 'create' });

    await giveAddress(page, party.user.email);
    const mail = await world.sink.mailTo(party.user.email);
    await giveCode(page, '123456');
    await page.getByRole('alert').getByText('That’s not the code').waitFor();

    assert.match(mail.parsed.subject ?? '', /You already have a/);
    assert.doesNotMatch(mail.parsed.text ?? '', /\b\d{6}\b|https?:/);
  });

  it('keeps what was typed when the password is not good enough', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page, { prompt: 'create' });
    await giveAddress(page, 'typed@example.com');
    await giveCode(page, await world.codeTo('typed@example.com'));
    await heading(page, 'Almost done');
    await page.evaluate('document.forms[0].noValidate = true');
    await page.getByLabel('Your name').fill('Ana Lovelace');
    await page.getByLabel('Password', { exact: true }).fill('short');
    await page.getByRole('button', { name: 'Create account' }).click();

    await page.getByRole('alert').getByText('Use at least').waitFor();
    await inspect(page, 'sign-up-short');
    assert.equal(await page.getByLabel('Your name').inputValue(), 'Ana Lovelace');
  });

  it('takes the invited as they come, says what is missing in their language, and keeps their name', async () => {
    const [page, party] = [await openPage(), await world.party()];
    const email = 'invited@example.com';
    const { services } = world.app;
    const invited = await services.invitations.invite(world.tenant.actor, { email, locale: 'de' });
    await world.sink.mailTo(email);
    const before = world.sink.mails.length;
    await party.start(page, { prompt: 'create', ui_locales: 'de' });
    await heading(page, 'Konto anlegen');
    await page.getByLabel('E-Mail').fill(email);
    await page.getByRole('button', { name: 'Code senden' }).click();
    await heading(page, 'Sehen Sie in Ihr Postfach');
    await giveCode(page, await world.codeTo(email, before), 'Weiter');
    await heading(page, 'Fast fertig');
    await page.getByLabel('Passwort', { exact: true }).fill(PASSWORD);
    await page.evaluate('document.forms[0].noValidate = true');
    await page.getByRole('button', { name: 'Konto anlegen' }).click();
    await page.getByRole('alert').getByText('Füllen Sie dieses Feld aus.').waitFor();
    await inspect(page, 'sign-up-missing-de');

    await page.getByLabel('Ihr Name').fill('Ida Lovelace');
    await page.getByLabel('Passwort', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Konto anlegen' }).click();
    await page.getByRole('button', { name: 'Erlauben' }).click();
    await arrival(page, world);

    const { user, profile } = await services.users.getWithProfile(world.tenant.actor, invited.id);
    assert.equal(user.status, 'active');
    assert.equal(profile.claims.name, 'Ida Lovelace');
  });

  it('is for who may: by domain, by invitation, or nobody', async () => {
    const { tenant, party } = await world.elsewhere();
    const set = (patch: object) => world.app.services.tenants.update(tenant.actor, tenant.tenant.slug, patch);
    const begin = async () => {
      const page = await openPage();
      await (await party()).start(page, { prompt: 'create' });
      return page;
    };

    await set({ settings: { signUp: 'domains', signUpDomains: ['acme.example'] } });
    const stranger = await begin();
    await heading(stranger, 'Create your account');
    await stranger.getByLabel('Email').fill('eve@example.com');
    await stranger.getByRole('button', { name: 'Send code' }).click();
    await stranger.getByRole('alert').getByText('Addresses of this domain').waitFor();
    await stranger.getByLabel('Email').fill('ana@ACME.example');
    await stranger.getByRole('button', { name: 'Send code' }).click();
    await heading(stranger, 'Check your email');

    await set({ settings: { signUp: 'invitation' } });
    const uninvited = await begin();
    await giveAddress(uninvited, 'uninvited@example.com');
    const mail = await world.sink.mailTo('uninvited@example.com');
    assert.match(mail.parsed.text ?? '', /You need an invitation/);

    await set({ settings: { signUp: 'off' } });
    const closed = await begin();
    await heading(closed, 'Sign in');
    assert.equal(await closed.getByRole('link', { name: 'Create an account' }).count(), 0);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1280, 360]) {
      it(`has pages without fault in ${colorScheme} colours at ${width} px`, async () => {
        const [page, party] = [await openPage({ colorScheme, width }), await world.party()];
        const email = `${colorScheme}-${width}@example.com`;
        const look = (screen: string) => inspect(page, `sign-up-${screen}-${colorScheme}-${width}`);
        await party.start(page, { prompt: 'create' });
        await heading(page, 'Create your account');
        await look('address');
        await giveAddress(page, email);
        await look('code');
        await giveCode(page, await world.codeTo(email));
        await heading(page, 'Almost done');
        await look('profile');
      });
    }
  }
});
