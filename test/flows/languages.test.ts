import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { scrollsSideways } from '../support/browser.ts';
import { arrival, GOOD_PASSWORD, heading, inspect, openPage, startWorld, TIMEOUT_MS } from './support.ts';
import type { World } from './support.ts';

describe('a sign-in in another language', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  const SCREENS = [
    { width: 360, colorScheme: 'light' },
    { width: 360, colorScheme: 'dark' },
    { width: 1280, colorScheme: 'light' },
    { width: 1280, colorScheme: 'dark' },
  ] as const;

  for (const screen of SCREENS) {
    it(`is accessible and fits in Arabic, ${screen.colorScheme}, at ${screen.width} pixels`, async () => {
      const page = await openPage({ ...screen, context: { locale: 'ar-EG' } });
      const party = await world.party();
      const check = async (name: string) => {
        await inspect(page, `arabic-${name}-${screen.width}-${screen.colorScheme}`);
        assert.equal(await scrollsSideways(page), false, name);
        assert.equal(await page.locator('html').getAttribute('dir'), 'rtl', name);
      };

      await party.start(page);
      await heading(page, 'تسجيل الدخول');
      await check('identifier');
      await page.getByLabel('البريد الإلكتروني').fill(party.user.email);
      await page.getByRole('button', { name: 'متابعة' }).click();

      await heading(page, 'أدخل كلمة المرور');
      await check('password');
      await page.getByLabel('كلمة المرور', { exact: true }).fill('wrong');
      await page.getByRole('button', { name: 'تسجيل الدخول' }).click();
      await page.getByRole('alert').waitFor();
      await check('mismatch');
      await page.getByLabel('كلمة المرور', { exact: true }).fill(GOOD_PASSWORD);
      await page.getByRole('button', { name: 'تسجيل الدخول' }).click();

      await heading(page, /الوصول إلى حسابك/);
      await check('consent');
      await page.getByRole('button', { name: 'السماح' }).click();
      assert.ok((await arrival(page, world))['code']);
    });
  }

  it('mirrors the page in Arabic, but no address', async () => {
    const page = await openPage({ width: 360, context: { locale: 'ar' } });
    const party = await world.party();
    await party.start(page, { login_hint: party.user.email });
    await heading(page, 'أدخل كلمة المرور');

    const box = async (selector: string) => {
      const found = await page.locator(selector).boundingBox();
      assert.ok(found, selector);
      return found;
    };
    const [logo, identity, email, reveal] = [
      await box('.brand .logo'),
      await box('.identity'),
      await box('.identity .email'),
      await box('[data-reveal]'),
    ];

    assert.ok(logo.x > 180);
    assert.ok(email.x + email.width / 2 > identity.x + identity.width / 2);
    assert.ok(reveal.x < 180);
    assert.equal(await page.locator('#password').getAttribute('dir'), 'ltr');
  });

  const openSignIn = async (page: Page, params: Record<string, string> = {}) => {
    const party = await world.party();
    await party.start(page, params);
    return party;
  };

  for (const javaScript of [true, false]) {
    it(`is switched to and stays, ${javaScript ? 'with' : 'without'} JavaScript`, async () => {
      const page = await openPage({ javaScript });
      await openSignIn(page);
      const address = page.url();

      await page.getByRole('button', { name: 'Français' }).click();
      await heading(page, 'Se connecter');

      assert.equal(page.url(), address);
      assert.equal(await page.locator('html').getAttribute('lang'), 'fr');
      await openSignIn(page);
      await heading(page, 'Se connecter');
    });
  }

  it('is switched to by keyboard, and says which one it is', async () => {
    const page = await openPage();
    await openSignIn(page);
    assert.equal(await page.locator('[aria-current=true]').innerText(), 'English');

    await page.getByRole('button', { name: 'Deutsch' }).focus();
    await page.keyboard.press('Enter');
    await heading(page, 'Anmelden');

    assert.equal(await page.locator('[aria-current=true]').innerText(), 'Deutsch');
  });

  it('is switched to on a page that the app asked for in another one', async () => {
    const page = await openPage();
    const party = await openSignIn(page, { ui_locales: 'de' });
    await heading(page, 'Anmelden');

    await page.getByRole('button', { name: 'Español' }).click();
    await heading(page, 'Iniciar sesión');
    await page.getByLabel('Correo electrónico').fill(party.user.email);
    await page.getByRole('button', { name: 'Continuar' }).click();

    await heading(page, 'Introduce tu contraseña');
  });

  it('is kept to the last page of a sign-out', async () => {
    const page = await openPage({ context: { locale: 'fr-CA' } });

    await page.goto(`${world.tenant.issuer}/logout`);
    await heading(page, /déconnecté|Se déconnecter/);

    assert.equal(await page.locator('html').getAttribute('lang'), 'fr');
  });
});
