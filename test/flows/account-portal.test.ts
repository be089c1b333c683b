import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { GOOD_PASSWORD } from '../support/app.ts';
import { scrollsSideways } from '../support/browser.ts';
import { heading, inspect, look, openPage, signIn, startWorld, TIMEOUT_MS } from './support.ts';
import type { World } from './support.ts';

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

  it('reads from right to left in Arabic on every page', async () => {
    const page = await openPage({ context: { locale: 'ar' }, width: 360 });
    const { user } = await world.party();
    await page.goto(`${world.tenant.issuer}/account/devices`);
    await page.locator('[name=username]').fill(user.email);
    await page.locator('main form [type=submit]').first().click();
    await page.locator('[name=password]').fill(GOOD_PASSWORD);
    await page.locator('main form [type=submit]').first().click();
    await heading(page, 'الأجهزة');

    for (const [path] of PAGES) {
      await page.goto(`${world.tenant.issuer}/account${path}`);
      await look(page, `portal${path.replaceAll('/', '-')}-arabic`);
      assert.equal(await page.locator('html').getAttribute('dir'), 'rtl', path);
      assert.equal(await scrollsSideways(page), false, path);
    }
  });

  it('is walked through with the keyboard alone', async () => {
    const page = await atHome();

    const seen: string[] = [];
    for (let presses = 0; presses < 10; presses += 1) {
      await page.keyboard.press('Tab');
      seen.push(await page.evaluate('document.activeElement.textContent.trim()'));
    }
    await page.getByRole('link', { name: 'Devices' }).first().focus();
    await page.keyboard.press('Enter');
    await heading(page, 'Devices');

    assert.equal(seen[0], 'Skip to the content');
    for (const name of ['Home', 'Profile', 'Security', 'Devices', 'Connected apps', 'Activity', 'Your data'])
      assert.ok(seen.includes(name), `${name} among ${seen.join(', ')}`);
  });
});
