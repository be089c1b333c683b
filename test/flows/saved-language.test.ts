import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { startMailWorld } from './mail-world.ts';
import type { MailWorld } from './mail-world.ts';
import { bothWays, enterPortal, heading, openPage, signIn, TIMEOUT_MS } from './support.ts';

describe('the language that somebody saved', function () {
  this.timeout(TIMEOUT_MS);
  let world: MailWorld;

  before(async () => {
    world = await startMailWorld();
  });

  after(() => world.close());

  const languageOf = (page: Page) => page.locator('html').getAttribute('lang');

  bothWays('holds at once, over what was chosen in this browser before', async (javaScript) => {
    const [page, { user }] = [await openPage({ javaScript }), await world.party()];
    await enterPortal(page, world, user, '/profile');
    await page.getByRole('button', { name: 'Deutsch' }).click();
    await heading(page, 'Profil');

    await page.locator('#locale').selectOption('fr');
    await page.getByRole('button', { name: 'Speichern' }).click();
    await page.getByText('Votre profil a été enregistré.').waitFor();
    await page.goto(`${world.tenant.issuer}/account/devices`);

    assert.equal(await languageOf(page), 'fr');
  });

  bothWays(
    'is that of every screen after the sign-in, unless the app asks for another',
    async (javaScript) => {
      const [page, party] = [await openPage({ javaScript }), await world.party()];
      await world.app.services.users.update(world.tenant.actor, party.user.id, { claims: { locale: 'fr' } });

      await party.start(page);
      const before = await languageOf(page);
      await signIn(page, party.user.email);
      await heading(page, /souhaite accéder/);
      const consent = await languageOf(page);
      await party.start(page, { prompt: 'login' });
      const confirmation = await languageOf(page);
      await party.start(page, { ui_locales: 'de' });
      const asked = await languageOf(page);
      await page.goto(`${world.tenant.issuer}/account`);
      const portal = await languageOf(page);
      await page.goto(`${world.tenant.issuer}/logout`);

      const signOut = await languageOf(page);
      await page.getByRole('button', { name: 'Se déconnecter' }).click();
      await heading(page, 'Vous êtes déconnecté');
      await party.start(page);
      await heading(page, 'Saisissez votre mot de passe');

      assert.deepEqual(
        { before, consent, confirmation, asked, portal, signOut },
        { before: 'en', consent: 'fr', confirmation: 'fr', asked: 'de', portal: 'fr', signOut: 'fr' },
      );
    },
  );

  it('is that of mails to them, wherever they are asked for', async () => {
    const [page, elsewhere, party] = [await openPage(), await openPage(), await world.party()];
    const { email, id } = party.user;
    await world.app.services.users.update(world.tenant.actor, id, { claims: { locale: 'fr' } });
    await enterPortal(page, world, party.user);

    await enterPortal(elsewhere, world, party.user);
    const notice = await world.sink.mailTo(email);
    const before = world.sink.mails.length;
    const stranger = await openPage();
    await party.start(stranger, { login_hint: email });
    await stranger.getByRole('link', { name: 'Reset your password' }).click();
    await stranger.getByRole('button', { name: 'Send code' }).click();
    const code = await world.sink.mailTo(email, before);

    assert.match(notice.parsed.subject ?? '', /^Nouvelle connexion/);
    assert.match(code.parsed.subject ?? '', /mot de passe/);
  });
});
