import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import {
  allow,
  arrival,
  bothWays,
  GOOD_PASSWORD,
  heading,
  openPage,
  signInAndAllow,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { Party, World } from './support.ts';

describe('with the keyboard alone', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  /** What has the focus, and whether one can see that. */
  const focus = (page: Page): Promise<{ name: string; isVisible: boolean }> =>
    page.evaluate(`(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const { width, height, top, left } = element.getBoundingClientRect();
      return {
        name: element.labels?.[0]?.innerText || element.ariaLabel || element.innerText.split('\\n')[0],
        isVisible: outlineStyle === 'solid' && outlineWidth === '2px' && width > 0 && height > 0 && top >= 0 && left >= 0,
      };
    })()`);

  /** Tabs on until something of this name has the focus; everything on the way shows it. */
  async function tabTo(page: Page, name: RegExp): Promise<void> {
    const passed: string[] = [];
    while (passed.length < 20) {
      const now = await focus(page);
      assert.ok(now.isVisible, `nobody sees the focus on "${now.name}"`);
      if (name.test(now.name)) return;
      passed.push(now.name);
      await page.keyboard.press('Tab');
    }
    assert.fail(`not reached: ${String(name)} after ${passed.join(', ')}`);
  }

  for (const javaScript of [true, false]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      it(`one signs in and consents, ${javaScript ? 'with' : 'without'} JavaScript, in the ${colorScheme}`, async () => {
        const [page, party] = [await openPage({ javaScript, colorScheme }), await world.party()];

        await party.start(page);
        await heading(page, 'Sign in');
        await tabTo(page, /^Email/);
        await page.keyboard.type(party.user.email);
        await page.keyboard.press('Enter');
        await heading(page, 'Enter your password');
        await tabTo(page, /^Password/);
        await page.keyboard.type(GOOD_PASSWORD);
        await tabTo(page, /^Sign in/);
        await page.keyboard.press('Enter');
        await heading(page, /wants to access/);
        await page.keyboard.press('Tab');
        await tabTo(page, /^Allow/);
        await page.keyboard.press('Space');

        assert.ok((await arrival(page, world))['code']);
      });
    }
  }

  bothWays('one changes the password', async (javaScript) => {
    const [page, party] = [await openPage({ javaScript }), await world.party()];
    await page.goto(`${world.tenant.issuer}/account/security/password`);
    await heading(page, 'Sign in');
    await page.keyboard.type(party.user.email);
    await page.keyboard.press('Enter');
    await heading(page, 'Enter your password');
    await page.keyboard.type(GOOD_PASSWORD);
    await page.keyboard.press('Enter');

    await heading(page, 'Change password');
    await tabTo(page, /^Current password/);
    await page.keyboard.type(GOOD_PASSWORD);
    await tabTo(page, /^New password/);
    await page.keyboard.type('velvet harbour tundra nine');
    await tabTo(page, /^Change password/);
    await page.keyboard.press('Enter');

    await page.getByRole('alert').getByText('Your password was changed.').waitFor();
  });

  it('one shows the password and hides it again, and it is not sent by that', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page, { login_hint: party.user.email });
    await heading(page, 'Enter your password');
    await page.keyboard.type(GOOD_PASSWORD);

    await tabTo(page, /^Show password/);
    await page.keyboard.press('Enter');
    const shown = await page.locator('#password').getAttribute('type');
    await page.keyboard.press('Space');
    const hidden = await page.locator('#password').getAttribute('type');

    assert.deepEqual([shown, hidden], ['text', 'password']);
    assert.match(await page.title(), /^Enter your password/);
  });

  it('one gets from a mistake to the field it is about', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page, { login_hint: party.user.email });
    await page.keyboard.type('not this one at all');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();

    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.keyboard.type(GOOD_PASSWORD);
    await page.keyboard.press('Enter');
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  it('one chooses an account, and another one', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await signInAndAllow(page, world, party);
    await party.start(page, { prompt: 'select_account' });
    await heading(page, 'Choose an account');

    await page.keyboard.press('Tab');
    await tabTo(page, new RegExp(`^${party.user.email}`));
    await tabTo(page, /^Use another account/);
    await page.keyboard.press('Enter');

    await heading(page, 'Sign in');
  });

  it('one signs out', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await signInAndAllow(page, world, party);
    await page.goto(`${world.tenant.issuer}/logout`);
    await heading(page, 'Sign out?');

    await page.keyboard.press('Tab');
    await tabTo(page, /^Sign out/);
    await page.keyboard.press('Enter');

    await heading(page, 'You’re signed out');
  });
});

describe('password managers', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  const attributes = (page: Page, id: string): Promise<Record<string, string>> =>
    page.evaluate(
      `Object.fromEntries([...document.getElementById('${id}').attributes].map((a) => [a.name, a.value]))`,
    );

  async function begin(params: Record<string, string> = {}): Promise<{ page: Page; party: Party }> {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page, params);
    return { page, party };
  }

  it('know the field of the address by its markup', async () => {
    const { page } = await begin();

    const { type, name, autocomplete, autocapitalize, spellcheck, dir, enterkeyhint } = await attributes(
      page,
      'username',
    );

    assert.deepEqual(
      { type, name, autocomplete, autocapitalize, spellcheck, dir, enterkeyhint },
      {
        type: 'email',
        name: 'username',
        autocomplete: 'username webauthn',
        autocapitalize: 'none',
        spellcheck: 'false',
        dir: 'ltr',
        enterkeyhint: 'next',
      },
    );
  });

  for (const [when, params] of [
    ['at the sign-in', {}],
    ['when it is only confirmed', { prompt: 'login' }],
  ] as const) {
    it(`find the address before the password ${when}, and fill both without an event`, async () => {
      const { page, party } = await begin({ login_hint: '' });
      if ('prompt' in params) await signInAndAllow(page, world, party);
      await party.start(page, { login_hint: party.user.email, ...params });
      await page.locator('#password').waitFor();

      const fields = await page.evaluate(
        `[...document.forms[0].elements].filter((e) => e.localName === 'input' && e.type !== 'hidden').map((e) => e.autocomplete + ' ' + e.value)`,
      );
      await page.evaluate(`document.getElementById('password').value = '${GOOD_PASSWORD}'`);
      await page.evaluate('document.forms[0].requestSubmit()');
      if (!('prompt' in params)) await allow(page);

      assert.deepEqual(fields, [`username ${party.user.email}`, 'current-password ']);
      assert.ok((await arrival(page, world))['code']);
    });
  }

  it('that overwrite the hidden address do not change who signs in', async () => {
    const { page, party } = await begin();
    const other = await world.party();
    await party.start(page, { login_hint: party.user.email });
    await page.locator('#password').waitFor();

    await page.evaluate(`document.querySelector('[autocomplete=username]').value = '${other.user.email}'`);
    await page.getByLabel('Password', { exact: true }).fill(GOOD_PASSWORD);
    await page.keyboard.press('Enter');
    await heading(page, /wants to access/);

    assert.equal(await page.getByText(party.user.email).count(), 1);
  });
});
