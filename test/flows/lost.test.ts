import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { sha256 } from '../../src/lib/ids.ts';
import { startTestApp } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { startCookielessProxy } from './cookieless-proxy.ts';
import {
  allow,
  arrival,
  giveEmail,
  givePassword,
  heading,
  inspect,
  openPage,
  signIn,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { Party, World } from './support.ts';

describe('a sign-in that was lost', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  async function begin(): Promise<{ page: Page; party: Party }> {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page);
    return { page, party };
  }

  const uidOf = (page: Page) => new URL(page.url()).pathname.split('/')[4] ?? '';
  const stateOf = (page: Page) => world.app.db('login_states').where({ id_hash: sha256(uidOf(page)) });
  const rowOf = (page: Page) =>
    world.app.db('oidc_models').where({ model: 'Interaction', id_hash: sha256(uidOf(page)) });

  const LOSSES: [how: string, lose: (page: Page) => Promise<unknown>][] = [
    ['whose row was removed', (page) => rowOf(page).delete()],
    ['whose cookies were cleared', (page) => page.context().clearCookies()],
    ['that has expired', expire],
  ];

  for (const [how, lose] of LOSSES) {
    it(`${how} starts over without a word: opening a page`, async () => {
      const { page, party } = await begin();
      const before = uidOf(page);
      await lose(page);

      await page.reload();
      await heading(page, 'Sign in');
      const after = uidOf(page);
      await signIn(page, party.user.email);
      await allow(page);

      const { code, state } = await arrival(page, world);
      assert.notEqual(after, before);
      assert.ok(code);
      assert.equal(state, 'a-state');
    });

    it(`${how} starts over without a word: sending the address, then the password`, async () => {
      const { page, party } = await begin();
      await lose(page);
      await giveEmail(page, party.user.email);
      await heading(page, 'Sign in');
      await giveEmail(page, party.user.email);
      await heading(page, 'Enter your password');

      await lose(page);
      await givePassword(page);
      await heading(page, 'Sign in');
      await signIn(page, party.user.email);
      await allow(page);

      assert.ok((await arrival(page, world))['code']);
    });

    it(`${how} starts over without a word: on the way back to the app`, async () => {
      const { page, party } = await begin();
      const uid = uidOf(page);
      await lose(page);

      await page.goto(`${world.tenant.issuer}/authorize/${uid}`);
      await heading(page, 'Sign in');
      await signIn(page, party.user.email);
      await allow(page);

      assert.ok((await arrival(page, world))['code']);
    });

    it(`${how} starts over at the consent`, async () => {
      const { page, party } = await begin();
      await signIn(page, party.user.email);
      await heading(page, /wants to access/);
      await lose(page);

      await allow(page);
      const isSignedOut = how.includes('cookies');
      await heading(page, isSignedOut ? 'Sign in' : /wants to access/);
      if (isSignedOut) await signIn(page, party.user.email);
      await allow(page);

      assert.ok((await arrival(page, world))['code']);
    });
  }

  it('because the person signed out elsewhere asks who it is', async () => {
    const { page, party } = await begin();
    await signIn(page, party.user.email);
    await heading(page, /wants to access/);
    await world.app.db('oidc_models').where({ model: 'Session', account_id: party.user.id }).delete();

    await allow(page);

    await heading(page, 'Enter your password');
  });

  it('again and again, hours apart, still starts over', async () => {
    const { page, party } = await begin();
    for (let hour = 0; hour < 5; hour += 1) {
      await rowOf(page).delete();
      await stateOf(page).update({ created_at: world.app.db.raw("created_at - interval '1 hour'") });
      await page.reload();
      await heading(page, 'Sign in');
    }

    await signIn(page, party.user.email);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  it('of which nothing is known any more says so, with a reference', async () => {
    const { page } = await begin();
    await rowOf(page).delete();
    await stateOf(page).delete();

    const response = await page.reload();
    await heading(page, 'This page has expired');
    await inspect(page, 'expired');

    assert.equal(response?.status(), 400);
    assert.equal(await page.locator('#reference').innerText(), await response?.headerValue('x-request-id'));
  });

  it('of a pushed request, which cannot be repeated, offers the way back to the app', async () => {
    const page = await openPage();
    const party = await world.party({ metadata: { client_uri: world.appUrl } });
    await party.startPushed(page);
    await rowOf(page).delete();

    await page.reload();
    await heading(page, 'This page has expired');
    await inspect(page, 'expired-pushed');
    await page.getByRole('link', { name: 'Start again' }).click();

    await heading(page, 'The app');
  });

  it('because the app waited too long with its pushed request says so, with the way back', async () => {
    const page = await openPage();
    const party = await world.party({ metadata: { client_uri: world.appUrl } });

    const query = new URLSearchParams({
      client_id: party.clientId,
      request_uri: 'urn:ietf:params:oauth:request_uri:long-gone',
    });
    await page.goto(`${world.tenant.issuer}/authorize?${query.toString()}`);
    await page.getByRole('link', { name: 'Back to Notes' }).click();

    await heading(page, 'The app');
  });

  describe('because the browser keeps no cookies', () => {
    it('ends on a page that says so, and goes on as soon as it does keep them', async () => {
      const proxy = await startCookielessProxy();
      const app = await startTestApp({ env: { PUBLIC_URL: proxy.url } });
      proxy.target = `http://127.0.0.1:${app.config.port}`;
      const party = await createRelyingParty(app, await app.tenant());
      const page = await openPage();

      const response = await page.goto(party.authorizationUrl());
      await heading(page, 'Cookies are needed to sign in');
      await inspect(page, 'cookies');
      proxy.keepsCookies = true;
      await page.getByRole('link', { name: 'Try again' }).click();
      await heading(page, 'Sign in');

      assert.equal(response?.status(), 400);
      assert.ok(proxy.requests < 20);
      await app.close();
      await proxy.close();
    });
  });

  /** Its end is in what is sealed, so this takes the row's place. */
  async function expire(page: Page): Promise<void> {
    const { sealer } = world.app.services;
    const row = await rowOf(page).first();
    const place = `oidc_models:payload:${row.id_hash.toString('hex')}`;
    const payload = JSON.parse(sealer.open(row.payload.sealed, place));
    const past = { ...payload, exp: Math.floor(Date.now() / 1000) - 60 };
    await rowOf(page).update({ payload: { sealed: sealer.seal(JSON.stringify(past), place) } });
  }
});
