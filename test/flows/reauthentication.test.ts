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
  signInAndAllow,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { Party, World } from './support.ts';

describe('somebody who is signed in', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  async function signedIn(): Promise<{ page: Page; party: Party; idToken: string }> {
    const [page, party] = [await openPage(), await world.party()];
    const { code = '' } = await signInAndAllow(page, world, party);
    const { body } = await party.redeem(code);
    return { page, party, idToken: body.id_token ?? '' };
  }

  /** As if the person had signed in so long ago. */
  const ageSession = ({ user }: Party, seconds: number) =>
    world.app.db.raw(
      `UPDATE oidc_models SET payload = jsonb_set(payload, '{loginTs}', to_jsonb((payload->>'loginTs')::int - ?::int))
        WHERE tenant_id = ? AND model = 'Session' AND account_id = ?`,
      [seconds, world.tenant.tenant.id, user.id],
    );

  const subjectOf = async (page: Page, party: Party) => {
    const { code = '' } = await arrival(page, world);
    const { body } = await party.redeem(code);
    return decodeJwt(body.id_token ?? '').sub;
  };

  it('only confirms it with the password when the app asks for a sign-in, and cannot pick another by mistake', async () => {
    const { page, party } = await signedIn();

    await party.start(page, { prompt: 'login' });
    await heading(page, 'Confirm it’s you');
    await inspect(page, 'confirm');
    const [email, changes, title] = [
      await page.getByText(party.user.email).count(),
      await page.getByRole('link', { name: 'Change' }).count(),
      await page.title(),
    ];
    await page.getByLabel('Password', { exact: true }).fill('not this one');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await heading(page, 'Confirm it’s you');
    await page.getByLabel('Password', { exact: true }).fill('correct horse battery staple');
    await page.keyboard.press('Enter');

    assert.deepEqual([email, changes], [1, 0]);
    assert.match(title, /^Confirm it’s you/);
    assert.equal(await subjectOf(page, party), party.user.id);
  });

  it('confirms it when the sign-in is older than max_age, and not before', async () => {
    const { page, party } = await signedIn();
    await party.start(page, { max_age: '300' });
    await arrival(page, world);
    await ageSession(party, 301);

    await party.start(page, { max_age: '300' });
    await heading(page, 'Confirm it’s you');
    await page.getByLabel('Password', { exact: true }).fill('correct horse battery staple');
    await page.getByRole('button', { name: 'Continue' }).click();

    assert.equal(await subjectOf(page, party), party.user.id);
  });

  it('returns to the app with access_denied when it is not confirmed', async () => {
    const { page, party } = await signedIn();

    await party.start(page, { prompt: 'login' });
    await page.getByRole('link', { name: 'Back to Notes' }).click();

    assert.equal((await arrival(page, world))['error'], 'access_denied');
  });

  it('lets another person on the same browser sign in instead', async () => {
    const { page, party } = await signedIn();
    const other = await world.party();

    await party.start(page, { prompt: 'login' });
    await page.getByRole('link', { name: 'Use another account' }).click();
    await heading(page, 'Choose an account');
    await page.getByRole('link', { name: 'Use another account' }).click();
    await giveEmail(page, other.user.email);
    await heading(page, 'Enter your password');
    await givePassword(page);
    await allow(page);

    assert.equal(await subjectOf(page, party), other.user.id);
  });

  it('is asked for the account the app demands, not for the password of the present one', async () => {
    const { page, party, idToken } = await signedIn();
    const other = await world.party();
    await other.start(page, { prompt: 'select_account' });
    await page.getByRole('link', { name: 'Use another account' }).click();
    await giveEmail(page, other.user.email);
    await givePassword(page);
    await allow(page);
    await arrival(page, world);

    await party.start(page, { id_token_hint: idToken });
    await heading(page, 'Enter your password');
    const shown = await page.getByText(party.user.email).count();
    await givePassword(page);

    assert.equal(shown, 1);
    assert.equal(await subjectOf(page, party), party.user.id);
  });

  it('does not learn the address of a demanded account that this browser does not know', async () => {
    const { party, idToken } = await signedIn();
    const { page: stranger, party: theirs } = await signedIn();

    await party.start(stranger, { id_token_hint: idToken });

    await heading(stranger, 'Choose an account');
    assert.equal(await stranger.getByText(party.user.email).count(), 0);
    assert.equal(await stranger.getByText(theirs.user.email).count(), 1);
  });

  it('whose account was closed meanwhile is asked who it is', async () => {
    const { page, party } = await signedIn();
    await world.app.services.users.disable(world.tenant.actor, party.user.id);

    await party.start(page);

    await heading(page, 'Sign in');
    assert.equal(await page.getByText(party.user.email).count(), 0);
  });

  it('sends nobody to a page when the app forbids it', async () => {
    const [page, party] = [await openPage(), await world.party()];

    await party.start(page, { prompt: 'none' });

    const { error, state } = await arrival(page, world);
    assert.deepEqual({ error, state }, { error: 'login_required', state: 'a-state' });
  });

  describe('who was named by the app', () => {
    it('begins with the password, and can still change the address', async () => {
      const [page, party] = [await openPage(), await world.party()];

      await party.start(page, { login_hint: party.user.email });
      await heading(page, 'Enter your password');
      await page.getByRole('link', { name: 'Change' }).click();
      await heading(page, 'Sign in');
      const prefilled = await page.getByLabel('Email').inputValue();
      await giveEmail(page, 'else@example.com');
      await heading(page, 'Enter your password');

      assert.equal(prefilled, party.user.email);
      assert.equal(await page.getByText('else@example.com').count(), 1);
    });

    it('by something that is no address begins with the address', async () => {
      const [page, party] = [await openPage(), await world.party()];

      await party.start(page, { login_hint: '<b>+1 555 0100' });

      await heading(page, 'Sign in');
      assert.equal(await page.getByLabel('Email').inputValue(), '');
    });
  });
});
