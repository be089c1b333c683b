import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { GOOD_PASSWORD } from '../support/app.ts';
import { axeViolations, scrollsSideways } from '../support/browser.ts';
import { heading, inspect, openPage, signIn, startWorld, TIMEOUT_MS } from './support.ts';
import type { World } from './support.ts';

const NEW_PASSWORD = 'velvet harbour tundra nine';
const PAGES = [
  ['', /Hello/],
  ['/profile', 'Profile'],
  ['/security', 'Security'],
  ['/security/password', 'Change password'],
  ['/devices', 'Devices'],
  ['/apps', 'Connected apps'],
  ['/activity', 'Activity'],
  ['/data', 'Your data'],
  ['/data/delete', 'Delete your account'],
] as const;

describe('the account portal in a browser', function () {
  this.timeout(2 * TIMEOUT_MS);

  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.close());

  async function atHome(options: Parameters<typeof openPage>[0] = {}): Promise<Page> {
    const page = await openPage(options);
    const { user } = await world.party();
    await page.goto(`${world.tenant.issuer}/account`);
    await signIn(page, user.email);
    await heading(page, /Hello/);
    return page;
  }

  for (const [colorScheme, width] of [
    ['light', 1280],
    ['dark', 360],
    ['light', 320],
  ] as const) {
    it(`shows every page without a fault: ${colorScheme}, ${width} px`, async () => {
      const page = await atHome({ colorScheme, width });

      for (const [path, name] of PAGES) {
        await page.goto(`${world.tenant.issuer}/account${path}`);
        await heading(page, name);
        await inspect(page, `portal${path.replaceAll('/', '-')}-${colorScheme}-${width}`);
        assert.equal(await scrollsSideways(page), false, path);
      }
    });
  }

  it('reads from right to left in Arabic', async () => {
    const page = await openPage({ context: { locale: 'ar' } });
    const { user } = await world.party();
    await page.goto(`${world.tenant.issuer}/account/devices`);
    await page.locator('[name=username]').fill(user.email);
    await page.locator('main form [type=submit]').first().click();
    await page.locator('[name=password]').fill(GOOD_PASSWORD);
    await page.locator('main form [type=submit]').first().click();
    await heading(page, 'الأجهزة');

    await inspect(page, 'portal-devices-arabic');

    assert.equal(await page.locator('html').getAttribute('dir'), 'rtl');
    assert.deepEqual(await axeViolations(page), []);
  });

  for (const javaScript of [true, false]) {
    it(`changes the password and offers to sign out elsewhere, ${javaScript ? 'with' : 'without'} JavaScript`, async () => {
      const page = await openPage({ javaScript });
      const other = await openPage();
      const { user } = await world.party();
      for (const each of [page, other]) {
        await each.goto(`${world.tenant.issuer}/account`);
        await signIn(each, user.email);
        await heading(each, /Hello/);
      }

      await page.getByRole('link', { name: 'Security' }).first().click();
      await page.getByRole('link', { name: 'Change password' }).click();
      await page.getByLabel('Current password').fill(GOOD_PASSWORD);
      await page.getByLabel('New password').fill(NEW_PASSWORD);
      await page.getByRole('button', { name: 'Change password' }).click();
      await page.getByText('Your password was changed.').first().waitFor();
      await page.getByRole('button', { name: 'Sign out all others' }).click();
      await page.getByText('You are signed out everywhere else.').waitFor();
      await other.goto(`${world.tenant.issuer}/account`);
      await heading(other, /Choose an account|Sign in|Enter your password/);

      assert.equal(new URL(page.url()).searchParams.get('done'), 'others');
    });
  }

  it('is walked through with the keyboard alone', async () => {
    const page = await atHome();

    const seen: string[] = [];
    for (let presses = 0; presses < 12; presses += 1) {
      await page.keyboard.press('Tab');
      seen.push(await page.evaluate('document.activeElement.textContent.trim()'));
    }
    await page.getByRole('link', { name: 'Devices' }).first().focus();
    await page.keyboard.press('Enter');
    await heading(page, 'Devices');

    for (const name of ['Home', 'Profile', 'Security', 'Devices', 'Connected apps', 'Activity', 'Your data'])
      assert.ok(seen.includes(name), `${name} among ${seen.join(', ')}`);
  });
});
