import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import {
  allow,
  arrival,
  givePassword,
  heading,
  inspect,
  openPage,
  signInAndAllow,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { Party, World } from './support.ts';

describe('signing out', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;
  let returnUri: string;

  before(async () => {
    world = await startWorld();
    returnUri = `${world.appUrl}/bye`;
  });

  after(() => world.close());

  async function signedIn(options: { javaScript?: boolean; metadata?: Record<string, unknown> } = {}) {
    const { javaScript = true, metadata = {} } = options;
    const page = await openPage({ javaScript });
    const party = await world.party({ metadata: { post_logout_redirect_uris: [returnUri], ...metadata } });
    const { code = '' } = await signInAndAllow(page, world, party);
    const { body } = await party.redeem(code);
    return { page, party, idToken: body.id_token ?? '', refreshToken: body.refresh_token ?? '' };
  }

  const open = (page: Page, params: Record<string, string> = {}) =>
    page.goto(`${world.tenant.issuer}/logout?${new URLSearchParams(params).toString()}`);

  /** Whether the next sign-in needs no person. */
  async function isSignedIn(page: Page, party: Party): Promise<boolean> {
    await party.start(page, { prompt: 'none' });
    return (await arrival(page, world))['code'] !== undefined;
  }

  it('asks where no app vouches for it, and says who is meant', async () => {
    const { page, party, refreshToken } = await signedIn();

    await open(page);
    await heading(page, 'Sign out?');
    await inspect(page, 'sign-out');
    const named = await page.getByText(party.user.email).count();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await heading(page, 'You’re signed out');
    await inspect(page, 'signed-out');

    assert.equal(named, 1);
    assert.equal(await isSignedIn(page, party), false);
    assert.equal((await party.refresh(refreshToken)).body.error, 'invalid_grant');
  });

  it('can be thought better of', async () => {
    const { page, party } = await signedIn();

    await open(page);
    await page.getByRole('button', { name: 'Stay signed in' }).click();
    await heading(page, 'You’re still signed in');
    await inspect(page, 'still-signed-in');

    assert.equal(await page.getByText(party.user.email).count(), 1);
    assert.equal(await isSignedIn(page, party), true);
  });

  it('of one app leaves the others alone', async () => {
    const { page, party, refreshToken } = await signedIn();
    const mail = await world.party({ name: 'Mail' });
    await mail.start(page);
    await allow(page);
    const { body } = await mail.redeem((await arrival(page, world))['code'] ?? '');

    await open(page, { client_id: party.clientId });
    await page.getByText('Notes asks to sign you out').waitFor();
    await page.getByRole('button', { name: 'Only sign out of Notes' }).click();
    await heading(page, 'You’re signed out of Notes');
    await inspect(page, 'signed-out-of-app');
    const remains = await page.locator('.lead').innerText();

    assert.equal((await party.refresh(refreshToken)).body.error, 'invalid_grant');
    assert.match(remains, new RegExp(`You are still signed in to .* as ${party.user.email}`));
    assert.equal((await mail.refresh(body.refresh_token ?? '')).status, 200);
    assert.equal(await isSignedIn(page, mail), true);
  });

  it('happens at once where the app vouches for it, and returns to the app at its own origin', async () => {
    const { page, party, idToken } = await signedIn();

    await open(page, { id_token_hint: idToken, post_logout_redirect_uri: returnUri, state: 'so long' });
    await heading(page, 'The app');

    assert.equal(page.url(), `${returnUri}?state=so+long`);
    assert.equal(await isSignedIn(page, party), false);
  });

  it('has a button for that without JavaScript', async () => {
    const { page, party, idToken } = await signedIn({ javaScript: false });

    await open(page, { id_token_hint: idToken, post_logout_redirect_uri: returnUri });
    await heading(page, 'Signing out');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await heading(page, 'The app');

    assert.equal(page.url(), returnUri);
    assert.equal(await isSignedIn(page, party), false);
  });

  it('asks where the app vouches for somebody else than is signed in', async () => {
    const { idToken } = await signedIn();
    const { page, party } = await signedIn();

    await open(page, { id_token_hint: idToken, post_logout_redirect_uri: returnUri });
    await heading(page, 'Sign out?');

    assert.equal(await page.getByText(party.user.email).count(), 1);
    assert.equal(await isSignedIn(page, party), true);
  });

  it('returns to the app also where nobody is signed in any more', async () => {
    const { page, idToken } = await signedIn();
    await page.context().clearCookies();

    await open(page, { id_token_hint: idToken, post_logout_redirect_uri: returnUri });

    await heading(page, 'The app');
    assert.equal(page.url(), returnUri);
  });

  it('never returns to an address that the app has not registered', async () => {
    const { page, party, idToken } = await signedIn();

    const response = await open(page, {
      id_token_hint: idToken,
      post_logout_redirect_uri: `${world.appUrl}/elsewhere`,
    });

    assert.equal(response?.status(), 400);
    await inspect(page, 'sign-out-refused');
    assert.equal(await isSignedIn(page, party), true);
  });

  it('ends on a page that leads back to the app and to another sign-in there', async () => {
    const { page, party, idToken } = await signedIn({
      metadata: {
        client_uri: `${world.appUrl}/home`,
        initiate_login_uri: 'https://notes.example/sign-in?a=b',
      },
    });

    await open(page, { id_token_hint: idToken });
    await heading(page, 'You’re signed out');
    const again = await page.getByRole('link', { name: 'Sign in again' }).getAttribute('href');
    await page.getByRole('link', { name: 'Return to Notes' }).click();
    await heading(page, 'The app');

    // OpenID Connect Core §4: the app learns whom to send people to.
    const issuer = new URLSearchParams({ iss: world.tenant.issuer }).toString();
    assert.equal(again, `https://notes.example/sign-in?a=b&${issuer}`);
    await party.start(page);
    await heading(page, 'Enter your password');
  });

  it('by a form that another site sends does not happen', async () => {
    const { page, party } = await signedIn();
    const xsrf = 'guessed';
    await page.goto(world.appUrl);

    await page.evaluate(`document.body.innerHTML = \`
      <form method="post" action="${world.tenant.issuer}/logout/confirm">
        <input name="xsrf" value="${xsrf}"><input name="logout" value="yes">
      </form>\`; document.forms[0].submit()`);
    await page.waitForURL(/\/logout\/confirm/);

    assert.equal(await isSignedIn(page, party), true);
  });

  it('cannot be followed by the rest of a sign-in that was under way', async () => {
    const { page, party } = await signedIn();
    await party.start(page, { prompt: 'consent' });
    const consent = page.url();
    await open(page);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await heading(page, /signed out/);

    await page.goto(consent);
    await heading(page, 'Enter your password');
    await givePassword(page);

    await heading(page, /wants to access/);
  });
});
