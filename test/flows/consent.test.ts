import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { Page } from 'playwright-core';
import {
  allow,
  arrival,
  giveEmail,
  givePassword,
  heading,
  inspect,
  openPage,
  signIn,
  signInAndAllow,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { Party, World } from './support.ts';

describe('consent', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  async function allowed(params: Record<string, string> = {}): Promise<{ page: Page; party: Party }> {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page, params);
    await signIn(page, party.user.email);
    await allow(page);
    await arrival(page, world);
    return { page, party };
  }

  const asked = (page: Page) => heading(page, 'Notes wants to access your');
  const permissions = async (page: Page) =>
    (await page.locator('.permissions li').allInnerTexts()).map((text) => text.replaceAll(/\s+/g, ' '));

  it('says who asks for what, in whose name and where one returns to', async () => {
    const [page, party] = [
      await openPage(),
      await world.party({ metadata: { client_uri: 'https://notes.example/about' } }),
    ];

    // Without this prompt offline access is not asked for at all (OpenID Connect Core §11).
    await party.start(page, { scope: 'openid email offline_access', prompt: 'consent' });
    await signIn(page, party.user.email);
    await heading(page, /^Notes wants to access your Tenant/);
    await inspect(page, 'consent-first');

    const text = await page.locator('main').innerText();
    assert.match(text, /Published by notes\.example/);
    assert.ok(text.includes(party.user.email));
    assert.ok(text.includes(`Either way you return to ${new URL(world.redirectUri).host}`));
    assert.deepEqual(await permissions(page), [
      'Your account ID, to recognize you',
      'Your email address',
      'Keep this access when you are not using the app',
    ]);
  });

  it('is remembered: the next sign-in does not ask, on this browser and on another one', async () => {
    const { page, party } = await allowed();
    const elsewhere = await openPage();

    await party.start(page);
    const here = await arrival(page, world);
    await party.start(elsewhere);
    await signIn(elsewhere, party.user.email);
    const there = await arrival(elsewhere, world);

    assert.ok(here['code'] && there['code']);
  });

  it('is asked again for what is new, and marks only that', async () => {
    const { page, party } = await allowed({ scope: 'openid email' });

    await party.start(page, { scope: 'openid email phone' });
    await asked(page);
    await inspect(page, 'consent-extended');
    const list = await permissions(page);
    await allow(page);
    await arrival(page, world);
    await party.start(page, { scope: 'openid phone' });

    assert.deepEqual(list, [
      'Your account ID, to recognize you',
      'Your email address',
      'Your phone number New',
    ]);
    assert.ok((await arrival(page, world))['code']);
  });

  it('is asked for each API by itself, in the words of the API', async () => {
    const { page, party } = await allowed();
    const identifier = `https://api.example/${party.clientId}`;
    await world.app.services.resources.create(world.tenant.actor, {
      identifier,
      name: 'Invoices',
      scopes: [
        { name: 'invoices:read', description: 'Read your invoices' },
        { name: 'invoices:write', description: 'Write invoices for you' },
      ],
    });
    const ask = (scope: string) => party.start(page, { resource: identifier, scope });

    await ask('openid invoices:read');
    await page.getByRole('heading', { level: 2, name: 'Invoices' }).waitFor();
    const first = await permissions(page);
    await allow(page);
    await arrival(page, world);
    await ask('openid invoices:read invoices:write');
    await asked(page);

    const known = 'Your account ID, to recognize you';
    assert.deepEqual(first, [known, 'Read your invoices New']);
    assert.deepEqual(await permissions(page), [known, 'Read your invoices', 'Write invoices for you New']);
    assert.deepEqual(await page.locator('h3').allInnerTexts(), [
      'It can see',
      'It can see',
      'It can use and change',
    ]);
  });

  it('is asked again where the app wants that, with nothing marked as new', async () => {
    const { page, party } = await allowed();

    await party.start(page, { prompt: 'consent' });
    await asked(page);

    assert.deepEqual(await permissions(page), ['Your account ID, to recognize you']);
  });

  it('refused returns to the app with access_denied, and is asked again next time', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page);
    await signIn(page, party.user.email);

    await page.getByRole('button', { name: 'Cancel' }).click();
    const { error, state, iss } = await arrival(page, world);
    await party.start(page);
    await asked(page);

    assert.deepEqual(
      { error, state, iss },
      { error: 'access_denied', state: 'a-state', iss: world.tenant.issuer },
    );
  });

  it('is not asked for apps of the house, whatever the app wants', async () => {
    const [page, party] = [await openPage(), await world.party({ firstParty: true })];

    await party.start(page, { scope: 'openid email' });
    await signIn(page, party.user.email);
    const first = await arrival(page, world);
    await party.start(page, { scope: 'openid email phone', prompt: 'consent' });
    const second = await arrival(page, world);

    assert.ok(first['code'] && second['code']);
  });

  describe('"Not you?"', () => {
    async function notYou(page: Page, other: Party): Promise<void> {
      await page.getByRole('link', { name: 'Not you?' }).click();
      await heading(page, 'Choose an account');
      await page.getByRole('link', { name: 'Use another account' }).click();
      await giveEmail(page, other.user.email);
      await givePassword(page);
    }

    const subjectOf = async (page: Page, party: Party) => {
      const { body } = await party.redeem((await arrival(page, world))['code'] ?? '');
      return decodeJwt(body.id_token ?? '').sub;
    };

    it('leads to another account, for which consent is asked anew', async () => {
      const [page, party, other] = [await openPage(), await world.party(), await world.party()];
      await party.start(page);
      await signIn(page, party.user.email);

      await notYou(page, other);
      await asked(page);
      const shown = await page.getByText(other.user.email).count();
      await allow(page);

      assert.equal(shown, 1);
      assert.equal(await subjectOf(page, party), other.user.id);
    });

    it('still asks an account that consented before, where the app wants that', async () => {
      const { page, party } = await allowed();
      const other = await world.party();
      await signInAndAllow(await openPage(), world, { ...party, user: other.user });

      await party.start(page, { prompt: 'consent' });
      await notYou(page, other);

      await asked(page);
      assert.equal(await page.getByText(other.user.email).count(), 1);
    });

    it('works for a pushed request, which cannot be repeated', async () => {
      const [page, party, other] = [await openPage(), await world.party(), await world.party()];
      await party.startPushed(page);
      await signIn(page, party.user.email);

      await notYou(page, other);
      await allow(page);

      assert.equal(await subjectOf(page, party), other.user.id);
    });

    it('goes back to the consent for who is the one after all', async () => {
      const [page, party] = [await openPage(), await world.party()];
      await party.start(page);
      await signIn(page, party.user.email);

      await page.getByRole('link', { name: 'Not you?' }).click();
      await page.getByRole('button', { name: party.user.email }).click();
      await asked(page);
      await allow(page);

      assert.equal(await subjectOf(page, party), party.user.id);
    });
  });
});
