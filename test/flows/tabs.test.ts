import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { Page } from 'playwright-core';
import {
  allow,
  arrival,
  giveEmail,
  givePassword,
  GOOD_PASSWORD,
  heading,
  openPage,
  openTab,
  signIn,
  signInAndAllow,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { Party, World } from './support.ts';

describe('several tabs of one browser', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  async function twoTabs(options: { javaScript?: boolean } = {}): Promise<[Page, Page]> {
    const first = await openPage(options);
    return [first, openTab(await first.context().newPage())];
  }

  const outcome = async (page: Page, party: Party) => {
    const { code = '', state } = await arrival(page, world);
    const { body } = await party.redeem(code);
    assert.equal(body.error, undefined, JSON.stringify(body));
    return { sub: decodeJwt(body.id_token ?? '').sub, state };
  };

  const eventsOf = async ({ user }: Party, type: string): Promise<number> =>
    (await world.app.db('events').where({ tenant_id: world.tenant.tenant.id, type, target_id: user.id }))
      .length;

  it('sign in to two apps at the same time, step by step', async () => {
    const [left, right] = await twoTabs();
    const [notes, mail] = [await world.party(), await world.party({ name: 'Mail' })];
    const { email } = notes.user;

    await notes.start(left, { state: 'left' });
    await mail.start(right, { state: 'right' });
    for (const tab of [left, right]) await giveEmail(tab, email);
    for (const tab of [left, right]) await heading(tab, 'Enter your password');
    for (const tab of [left, right]) await givePassword(tab);
    await heading(left, /^Notes wants/);
    await heading(right, /^Mail wants/);
    for (const tab of [left, right]) await allow(tab);

    assert.deepEqual(await outcome(left, notes), { sub: notes.user.id, state: 'left' });
    assert.deepEqual(await outcome(right, mail), { sub: notes.user.id, state: 'right' });
  });

  it('sign in to the same app twice at the same time', async () => {
    const [left, right] = await twoTabs();
    const notes = await world.party();

    await notes.start(left, { state: 'left' });
    await notes.start(right, { state: 'right' });
    await signIn(left, notes.user.email);
    await heading(left, /^Notes wants/);
    await signIn(right, notes.user.email);
    await heading(right, /^Notes wants/);
    await allow(left);
    await arrival(left, world);
    await allow(right);

    assert.equal((await outcome(left, notes)).state, 'left');
    assert.equal((await outcome(right, notes)).state, 'right');
  });

  it('finish together when both answers are given at once', async () => {
    const [left, right] = await twoTabs();
    const notes = await world.party();
    await notes.start(left, { state: 'left' });
    await notes.start(right, { state: 'right' });
    for (const tab of [left, right]) await signIn(tab, notes.user.email);
    for (const tab of [left, right]) await heading(tab, /^Notes wants/);

    await Promise.all([allow(left), allow(right)]);

    assert.equal((await outcome(left, notes)).state, 'left');
    assert.equal((await outcome(right, notes)).state, 'right');
  });

  it('show one sign-in twice, and take the answer of either', async () => {
    const [left, right] = await twoTabs();
    const notes = await world.party();
    await notes.start(left);
    await right.goto(left.url());

    await giveEmail(left, notes.user.email);
    await heading(left, 'Enter your password');
    await giveEmail(right, notes.user.email);
    await heading(right, 'Enter your password');
    await givePassword(left);
    await heading(left, /^Notes wants/);
    await givePassword(right);
    await heading(right, /^Notes wants/);
    await allow(left);
    await arrival(left, world);
    await allow(right);

    assert.equal((await outcome(right, notes)).sub, notes.user.id);
  });

  it('change the account in one of them: the other one asks again and then means the new one', async () => {
    const [left, right] = await twoTabs();
    const [notes, bo] = [await world.party(), await world.party()];
    await signInAndAllow(left, world, notes);
    await notes.start(left, { prompt: 'consent', state: 'left' });
    await heading(left, /^Notes wants/);

    await bo.start(right, { prompt: 'select_account' });
    await right.getByRole('link', { name: 'Use another account' }).click();
    await signIn(right, bo.user.email);
    await allow(right);
    await arrival(right, world);
    await allow(left);
    await heading(left, /^Notes wants/);
    const shown = await left.getByText(bo.user.email).count();
    await allow(left);

    assert.equal(shown, 1);
    assert.deepEqual(await outcome(left, notes), { sub: bo.user.id, state: 'left' });
  });

  it('sign out in one of them: the other one asks who it is', async () => {
    const [left, right] = await twoTabs();
    const notes = await world.party();
    await signInAndAllow(left, world, notes);
    await notes.start(left, { prompt: 'consent' });
    await heading(left, /^Notes wants/);

    await right.goto(`${world.tenant.issuer}/logout`);
    await right.getByRole('button', { name: 'Sign out' }).click();
    await heading(right, /signed out/);
    await allow(left);

    await heading(left, 'Enter your password');
  });

  describe('and impatient people', () => {
    for (const javaScript of [true, false]) {
      it(`who press twice sign in once and arrive, ${javaScript ? 'with' : 'without'} JavaScript`, async () => {
        const page = await openPage({ javaScript });
        const notes = await world.party();
        await notes.start(page);
        await page.getByLabel('Email').fill(notes.user.email);
        await page.getByRole('button', { name: 'Continue' }).dblclick({ noWaitAfter: true });
        await heading(page, 'Enter your password');

        await page.getByLabel('Password', { exact: true }).fill(GOOD_PASSWORD);
        await page.getByRole('button', { name: 'Sign in' }).dblclick({ noWaitAfter: true });
        await heading(page, /^Notes wants/);
        await page.getByRole('button', { name: 'Allow' }).dblclick({ noWaitAfter: true });

        assert.equal((await outcome(page, notes)).sub, notes.user.id);
        assert.equal(await eventsOf(notes, 'user.login_failed'), 0);
      });
    }
  });
});
