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

describe('the account chooser', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  const subjectOf = async (page: Page, party: Party) => {
    const { code = '' } = await arrival(page, world);
    const { body } = await party.redeem(code);
    return decodeJwt(body.id_token ?? '').sub;
  };

  const account = (page: Page, { user }: Party) =>
    page.getByRole('button', { name: new RegExp(`^${user.email}`) });

  /** Ana and Bo have signed in here; Bo is the one who still is. */
  async function twoAccounts({ javaScript = true } = {}) {
    const page = await openPage({ javaScript });
    const [ana, bo] = [await world.party(), await world.party()];
    await signInAndAllow(page, world, ana);
    await bo.start(page, { prompt: 'select_account' });
    await page.getByRole('link', { name: 'Use another account' }).click();
    await signIn(page, bo.user.email);
    if (!javaScript) await page.getByRole('button', { name: 'Continue' }).click();
    await allow(page);
    await arrival(page, world);
    return { page, ana, bo };
  }

  async function signOut(page: Page): Promise<void> {
    await page.goto(`${world.tenant.issuer}/logout`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await heading(page, /signed out/);
  }

  it('is skipped where no account is known', async () => {
    const [page, party] = [await openPage(), await world.party()];

    await party.start(page, { prompt: 'select_account' });
    await heading(page, 'Sign in');
    const links = await page.getByRole('link').allInnerTexts();
    await signIn(page, party.user.email);
    await allow(page);

    assert.deepEqual(links, ['Create an account', 'Back to Notes']);
    assert.equal(await subjectOf(page, party), party.user.id);
  });

  it('goes on without a password for who is signed in', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await signInAndAllow(page, world, party);

    await party.start(page, { prompt: 'select_account' });
    await heading(page, 'Choose an account');
    await inspect(page, 'chooser');
    await account(page, party).click();

    assert.equal(await subjectOf(page, party), party.user.id);
  });

  it('tells two accounts apart, and which one is signed in', async () => {
    const { page, ana, bo } = await twoAccounts();

    await ana.start(page, { prompt: 'select_account' });
    await heading(page, 'Choose an account');

    assert.match(await account(page, ana).innerText(), /Signed out\s+· Used just now/);
    assert.match(await account(page, bo).innerText(), /Signed in\s+· Used just now/);
    assert.deepEqual(await page.locator('.rows .email').allInnerTexts(), [bo.user.email, ana.user.email]);
  });

  for (const javaScript of [true, false]) {
    it(`changes to another account with its password, and signs the first one out ${javaScript ? 'with' : 'without'} JavaScript`, async () => {
      const { page, ana, bo } = await twoAccounts({ javaScript });

      await ana.start(page, { prompt: 'select_account' });
      await account(page, ana).click();
      await heading(page, 'Enter your password');
      const shown = await page.getByText(ana.user.email).count();
      await givePassword(page);
      if (!javaScript) await page.getByRole('button', { name: 'Continue' }).click();

      assert.equal(shown, 1);
      assert.equal(await subjectOf(page, ana), ana.user.id);
      const sessions = await world.app
        .db('oidc_models')
        .where({ tenant_id: world.tenant.tenant.id, model: 'Session', account_id: bo.user.id })
        .whereNull('dead_at');
      assert.equal(sessions.length, 0);
    });
  }

  it('forgets an account on this browser, and the last one leads to the address', async () => {
    const { page, ana, bo } = await twoAccounts();
    await signOut(page);
    await ana.start(page);
    await heading(page, 'Choose an account');

    await page.getByRole('button', { name: `Remove ${ana.user.email}` }).click();
    await heading(page, 'Choose an account');
    const left = await page.locator('.rows .email').allInnerTexts();
    await page.getByRole('button', { name: `Remove ${bo.user.email}` }).click();
    await heading(page, 'Sign in');
    await page.reload();
    await heading(page, 'Sign in');

    assert.deepEqual(left, [bo.user.email]);
  });

  it('does not offer to forget who is signed in: they would stay so', async () => {
    const { page, ana, bo } = await twoAccounts();

    await ana.start(page, { prompt: 'select_account' });
    await heading(page, 'Choose an account');

    assert.equal(await page.getByRole('button', { name: `Remove ${bo.user.email}` }).count(), 0);
    assert.equal(await page.getByRole('button', { name: `Remove ${ana.user.email}` }).count(), 1);
  });

  it('comes first after signing out where several are known, and then asks for the password', async () => {
    const { page, bo } = await twoAccounts();
    await signOut(page);

    await bo.start(page);
    await heading(page, 'Choose an account');
    await account(page, bo).click();
    await heading(page, 'Enter your password');
    await givePassword(page);

    assert.equal(await subjectOf(page, bo), bo.user.id);
  });

  it('is skipped after signing out where there is one to choose: the password comes first', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await signInAndAllow(page, world, party);
    await signOut(page);

    await party.start(page);
    await heading(page, 'Enter your password');
    const shown = await page.getByText(party.user.email).count();
    await givePassword(page);

    assert.equal(shown, 1);
    assert.equal(await subjectOf(page, party), party.user.id);
  });

  it('is a link away for who is not the one that is known', async () => {
    const [page, party, other] = [await openPage(), await world.party(), await world.party()];
    await signInAndAllow(page, world, party);
    await signOut(page);

    await party.start(page);
    await page.getByRole('link', { name: 'Change' }).click();
    await heading(page, 'Sign in');
    const typed = await page.getByLabel('Email').inputValue();
    await page.getByRole('link', { name: 'Choose a known account' }).click();
    await heading(page, 'Choose an account');
    await page.getByRole('link', { name: 'Use another account' }).click();
    await signIn(page, other.user.email);
    await allow(page);

    assert.equal(typed, '');
    assert.equal(await subjectOf(page, party), other.user.id);
  });

  it('shows no account that was closed since', async () => {
    const { page, ana, bo } = await twoAccounts();
    await world.app.services.users.disable(world.tenant.actor, ana.user.id);

    await bo.start(page, { prompt: 'select_account' });
    await heading(page, 'Choose an account');

    assert.equal(await page.getByText(ana.user.email).count(), 0);
  });

  it('can be reached from the address, and back', async () => {
    const { page, ana } = await twoAccounts();
    await ana.start(page, { prompt: 'select_account' });

    await page.getByRole('link', { name: 'Use another account' }).click();
    await heading(page, 'Sign in');
    await page.getByRole('link', { name: 'Choose a known account' }).click();
    await heading(page, 'Choose an account');
    await page.goBack();
    await heading(page, 'Sign in');
    await page.goBack();

    await heading(page, 'Choose an account');
  });

  it('of one tenant does not show the accounts of another', async () => {
    const page = await openPage();
    const party = await world.party();
    await signInAndAllow(page, world, party);
    const foreign = await (await world.elsewhere()).party();

    await foreign.start(page);

    await heading(page, 'Sign in');
    await giveEmail(page, party.user.email);
    await givePassword(page);
    await page.getByRole('alert').waitFor();
  });
});
