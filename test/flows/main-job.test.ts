import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import type { BrowserOptions } from '../support/browser.ts';
import { scrollsSideways } from '../support/browser.ts';
import { startDemoServer } from './demo-server.ts';
import type { DemoServer } from './demo-server.ts';
import { allow, giveEmail, givePassword, heading, inspect, openPage, TIMEOUT_MS } from './support.ts';

describe('a newcomer', function () {
  this.timeout(TIMEOUT_MS);

  let server: DemoServer;

  before(async () => {
    server = await startDemoServer();
  });

  after(() => server.close());

  /** Nothing was allowed yet. */
  beforeEach(() => server.db('consents').delete());

  const press = (page: Page, name: string) => page.getByRole('button', { name }).click();

  async function reachTheTokens(page: Page): Promise<void> {
    await page.goto(`${server.url}/demo`);
    await page.getByRole('link', { name: 'Sign in' }).click();
    await giveEmail(page, server.demoUser.email);
    await givePassword(page, server.demoUser.password);
    await allow(page);
    await heading(page, 'Hello, Demo User');
  }

  const faultyChecks = (page: Page) => page.getByText(/: wrong,|Not valid/).count();
  const verified = (page: Page) => page.getByText('Verified', { exact: true }).count();

  it('finds in the start-up lines all it takes: the address, the demo and whom to sign in as', () => {
    const { printed, url } = server;

    assert.ok(printed.includes(url));
    assert.ok(printed.includes(`${url}/demo`));
    assert.match(server.demoUser.email, /^\S+@\S+$/);
    assert.ok(server.demoUser.password.length >= 15);
    assert.ok(server.setupLink.startsWith(`${url}/setup?token=`));
  });

  const LOOKS: [name: string, options: BrowserOptions][] = [
    ['1280-light', { width: 1280, colorScheme: 'light' }],
    ['360-dark', { width: 360, colorScheme: 'dark' }],
  ];
  if (process.env['SCREENSHOTS']) {
    LOOKS.push(['1280-dark', { width: 1280, colorScheme: 'dark' }]);
    LOOKS.push(['360-light', { width: 360, colorScheme: 'light' }]);
  }

  for (const [look, options] of LOOKS) {
    it(`signs in, sees verified tokens, calls an API, refreshes and signs out (${look})`, async () => {
      const page = await openPage(options);
      let step = 0;
      const lookAt = async (name: string) => {
        step += 1;
        await inspect(page, `${look}-${String(step).padStart(2, '0')}-${name}`);
        assert.equal(await scrollsSideways(page), false, name);
      };

      await page.goto(server.url);
      await lookAt('landing');
      await page.getByRole('link', { name: 'Open the demo' }).click();
      await heading(page, 'Try a sign-in');
      await lookAt('demo');
      await page.getByRole('link', { name: 'Sign in' }).click();
      await heading(page, 'Sign in');
      await lookAt('identifier');
      await giveEmail(page, server.demoUser.email);
      await heading(page, 'Enter your password');
      await lookAt('password');
      await givePassword(page, server.demoUser.password);
      await heading(page, /^Demo application wants to access/);
      await lookAt('consent');
      await allow(page);

      await heading(page, 'Hello, Demo User');
      await lookAt('tokens');
      assert.equal(await page.getByText(server.demoUser.email).first().isVisible(), true);
      assert.deepEqual([await verified(page), await faultyChecks(page)], [2, 0]);

      await press(page, 'Call the sample API');
      await page.getByRole('heading', { name: 'The sample API answered 200' }).waitFor();
      await lookAt('api');
      await press(page, 'Refresh');
      await page.getByRole('heading', { name: 'The tokens were refreshed' }).waitFor();
      await lookAt('refreshed');
      assert.deepEqual([await verified(page), await faultyChecks(page)], [2, 0]);
      await press(page, 'Call the sample API');
      await page.getByRole('heading', { name: 'The sample API answered 200' }).waitFor();

      await press(page, 'Sign out');
      await heading(page, /signed out/);
      await lookAt('signed-out');
      await page.getByRole('link', { name: 'Sign in again' }).click();
      await heading(page, 'Enter your password');
      await lookAt('signed-out-before');
    });
  }

  it('does all of it without JavaScript', async () => {
    const page = await openPage({ javaScript: false });

    await reachTheTokens(page);
    const atFirst = [await verified(page), await faultyChecks(page)];
    await press(page, 'Call the sample API');
    await page.getByRole('heading', { name: 'The sample API answered 200' }).waitFor();
    await press(page, 'Refresh');
    await page.getByRole('heading', { name: 'The tokens were refreshed' }).waitFor();
    const refreshed = [await verified(page), await faultyChecks(page)];
    await press(page, 'Sign out');
    await heading(page, 'Signing out');
    await press(page, 'Sign out');
    await heading(page, /signed out/);
    await page.getByRole('link', { name: 'Sign in again' }).click();
    await heading(page, 'Enter your password');
    await givePassword(page, server.demoUser.password);

    await heading(page, 'Hello, Demo User');
    assert.deepEqual(
      [atFirst, refreshed],
      [
        [2, 0],
        [2, 0],
      ],
    );
  });

  it('who says no is told so by the demo, and can begin again', async () => {
    const page = await openPage();
    await page.goto(`${server.url}/demo/sign-in`);
    await giveEmail(page, server.demoUser.email);
    await givePassword(page, server.demoUser.password);

    await press(page, 'Cancel');
    await heading(page, 'You did not sign in');
    await inspect(page, 'demo-declined');
    await page.getByRole('link', { name: 'Sign in again' }).click();

    await heading(page, /^Demo application wants to access/);
  });

  it('who goes back after signing in still sees the tokens', async () => {
    const page = await openPage();
    await reachTheTokens(page);

    await page.goBack();

    await heading(page, 'Hello, Demo User');
  });
});
