import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import {
  allow,
  arrival,
  giveEmail,
  givePassword,
  heading,
  openPage,
  signIn,
  signInAndAllow,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { Party, World } from './support.ts';

describe('the buttons of the browser', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  async function begin(): Promise<{ page: Page; party: Party }> {
    const [page, party] = [await openPage(), await world.party()];
    await page.goto(world.appUrl);
    await party.start(page);
    return { page, party };
  }

  const eventsOf = async ({ user }: Party, type: string) =>
    world.app.db('events').where({ tenant_id: world.tenant.tenant.id, type, target_id: user.id });

  it('lead back from the password to the address, which is still there, and forward again', async () => {
    const { page, party } = await begin();
    await giveEmail(page, party.user.email);
    await heading(page, 'Enter your password');

    await page.goBack();
    await heading(page, 'Sign in');
    const kept = await page.getByLabel('Email').inputValue();
    await page.goForward();
    await heading(page, 'Enter your password');
    await givePassword(page);
    await allow(page);

    assert.equal(kept, party.user.email);
    assert.ok((await arrival(page, world))['code']);
  });

  it('lead back from the first page to the app', async () => {
    const { page } = await begin();
    await heading(page, 'Sign in');

    await page.goBack();

    await heading(page, 'The app');
  });

  it('lead back from the consent to the consent: nobody proves twice who they are', async () => {
    const { page, party } = await begin();
    await signIn(page, party.user.email);
    await heading(page, /wants to access/);

    await page.goBack();
    await heading(page, /wants to access/);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
    assert.equal((await eventsOf(party, 'user.login')).length, 1);
  });

  it('lead back from the app to the app, with a code of its own', async () => {
    const { page, party } = await begin();
    await signIn(page, party.user.email);
    await allow(page);
    const first = await arrival(page, world);

    await page.goBack();
    const second = await arrival(page, world);

    assert.ok(second['code']);
    assert.notEqual(second['code'], first['code']);
  });

  it('reload every page without sending anything again', async () => {
    const { page, party } = await begin();
    await page.reload();
    await giveEmail(page, party.user.email);
    await heading(page, 'Enter your password');
    await page.reload();
    await givePassword(page, 'not this one');
    await page.getByRole('alert').waitFor();

    await page.reload();
    await page.getByRole('alert').waitFor();
    await givePassword(page);
    await heading(page, /wants to access/);
    await page.reload();
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
    assert.equal((await eventsOf(party, 'user.login_failed')).length, 1);
    assert.equal((await eventsOf(party, 'user.login')).length, 1);
  });

  it('forget a mistake when another address is tried', async () => {
    const { page, party } = await begin();
    await signIn(page, 'somebody@example.com', 'not this one');
    await page.getByRole('alert').waitFor();

    await page.getByRole('link', { name: 'Change' }).click();
    const kept = await page.getByLabel('Email').inputValue();
    await giveEmail(page, party.user.email);
    await heading(page, 'Enter your password');

    assert.equal(kept, 'somebody@example.com');
    assert.equal(await page.getByRole('alert').count(), 0);
    assert.match(await page.title(), /^Enter your password/);
  });

  it('lead nowhere new once the person signed out', async () => {
    const page = await openPage();
    const party = await world.party();
    await signInAndAllow(page, world, party);
    await page.goto(`${world.tenant.issuer}/logout`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await heading(page, /signed out/);

    await page.goBack();

    await heading(page, /signed out|Sign out/);
    assert.equal(await page.getByText(party.user.email).count(), 0);
  });
});
