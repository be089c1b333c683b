import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { faultsOf, newPage } from '../support/browser.ts';
import { startLoopbackServer } from '../support/loopback-server.ts';
import type { LoopbackServer } from '../support/loopback-server.ts';
import {
  allow,
  arrival,
  giveEmail,
  givePassword,
  GOOD_PASSWORD,
  heading,
  openPage,
  signIn,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { World } from './support.ts';

describe('the way back to the app', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  const DIRECTIONS = [
    ['from the password, for an app of the house', true],
    ['from the consent', false],
  ] as const;

  for (const [where, firstParty] of DIRECTIONS) {
    it(`leads to another origin ${where}`, async () => {
      const [page, party] = [await openPage(), await world.party({ firstParty })];

      await party.start(page);
      await signIn(page, party.user.email);
      if (!firstParty) await allow(page);

      assert.ok((await arrival(page, world))['code']);
      assert.notEqual(new URL(world.redirectUri).origin, new URL(world.app.url).origin);
    });
  }

  it('leads there by a form as well, where the app wants that', async () => {
    for (const javaScript of [true, false]) {
      const [page, party] = [await openPage({ javaScript }), await world.party()];
      const received = world.appRequests.length;

      await party.start(page, { response_mode: 'form_post' });
      await signIn(page, party.user.email);
      await allow(page);
      if (!javaScript) await page.getByRole('button', { name: 'Continue' }).click();
      await heading(page, 'The app');

      const [posted] = world.appRequests.slice(received).filter(({ method }) => method === 'POST');
      assert.ok(new URLSearchParams(posted?.body).get('code'), String(javaScript));
    }
  });

  it('leads only where the page said: a policy that names one app, and no other', async () => {
    const [page, party] = [await openPage(), await world.party()];

    await party.start(page);
    const response = await page.reload();

    const policy = await response?.headerValue('content-security-policy');
    const [, sources] = /form-action ([^;]*)/.exec(policy ?? '') ?? [];
    assert.equal(sources, `'self' ${world.appUrl}`);
  });

  describe('for an app on the device', () => {
    const SCHEME_URI = 'com.example.notes:/signed-in';

    const native = (redirectUri: string, firstParty = false) =>
      world.party({
        firstParty,
        metadata: {
          application_type: 'native',
          token_endpoint_auth_method: 'none',
          redirect_uris: [redirectUri],
        },
      });

    /** The navigation the browser hands to the system, which here has no app for it. */
    function handOver(page: Page): Promise<string> {
      const { promise, resolve } = Promise.withResolvers<string>();
      page.on('request', (request) => {
        if (request.url().startsWith('com.example.notes:')) resolve(request.url());
      });
      return promise;
    }

    for (const [where, answer] of [
      ['Allow', 'code'],
      ['Cancel', 'error'],
    ] as const) {
      it(`leads to its own scheme from "${where}"`, async () => {
        // Chromium has nothing to open the scheme with and says so, which is no fault of ours.
        const [page, party] = [await newPage(), await native(SCHEME_URI)];
        const handedOver = handOver(page);

        await party.start(page, { redirect_uri: SCHEME_URI });
        await signIn(page, party.user.email);
        await page.getByText('com.example.notes:').waitFor();
        await page.getByRole('button', { name: where }).click();

        const { searchParams } = new URL(await handedOver);
        assert.ok(searchParams.get(answer));
        assert.deepEqual(
          faultsOf(page).filter((fault) => /Content Security Policy|violates/.test(fault)),
          [],
        );
      });
    }

    it('asks every time, since any app on the device may claim the scheme, also for the house', async () => {
      const [page, party] = [await newPage(), await native(SCHEME_URI, true)];
      const handedOver = handOver(page);
      await party.start(page, { redirect_uri: SCHEME_URI });
      await signIn(page, party.user.email);
      await allow(page);
      await handedOver;

      await party.start(page, { redirect_uri: SCHEME_URI }).catch(() => undefined);

      await heading(page, /^Notes wants to access/);
    });

    it('that listens on a port of its own leads to whichever that is', async () => {
      const device: LoopbackServer = await startLoopbackServer();
      device.respond = (_req, res) =>
        void res
          .writeHead(200, { 'content-type': 'text/html' })
          .end('<!doctype html><title>Done</title><link rel="icon" href="data:,"><h1>You can go on</h1>');
      const [page, party] = [await openPage(), await native('http://127.0.0.1/done')];

      await party.start(page, { redirect_uri: `${device.url}/done` });
      await signIn(page, party.user.email);
      await allow(page);

      await heading(page, 'You can go on');
      assert.ok(new URL(page.url()).searchParams.get('code'));
      await device.close();
    });
  });

  it('from a popup leaves the app able to hear the answer', async () => {
    const party = await world.party();
    const page = await openPage();
    await page.goto(world.appUrl);
    const opened = page.waitForEvent('popup');
    await page.evaluate(
      `void open(${JSON.stringify(party.authorizationUrl({ redirect_uri: world.redirectUri }))})`,
    );
    const popup = await opened;

    await giveEmail(popup, party.user.email);
    await givePassword(popup, GOOD_PASSWORD);
    await allow(popup);
    await arrival(popup, world);

    assert.equal(await popup.evaluate('opener !== null && opener.location.origin'), world.appUrl);
  });
});
