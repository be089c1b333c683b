import assert from 'node:assert/strict';
import type { Page, Response } from 'playwright-core';
import {
  allow,
  arrival,
  giveEmail,
  givePassword,
  GOOD_PASSWORD,
  heading,
  inspect,
  openPage,
  signIn,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { Party, World } from './support.ts';

describe('a mistake', function () {
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

  /** As a browser does that does not check forms by itself. */
  const withoutChecks = (page: Page) => page.evaluate('document.forms[0].noValidate = true');
  /** Browsers tidy what is typed into a field for addresses. */
  const showAsText = (page: Page) => page.evaluate('document.getElementById("username").type = "text"');
  const focused = (page: Page) => page.evaluate('document.activeElement.getAttribute("role")');
  const email = (page: Page) => page.getByLabel('Email');
  const password = (page: Page) => page.getByLabel('Password', { exact: true });

  it('in the password keeps the address, clears the password, says so first and in the title', async () => {
    const { page, party } = await begin();

    await signIn(page, party.user.email, 'not this one at all');
    const alert = page.getByRole('alert');
    await alert.waitFor();
    await inspect(page, 'wrong-password');

    assert.match(await page.title(), /^Error: Enter your password/);
    assert.match(
      await alert.innerText(),
      /^That email and password don’t match\. Try again or reset your password\.$/,
    );
    assert.equal(await focused(page), 'alert');
    assert.equal(await page.getByText(party.user.email).count(), 1);
    assert.equal(await password(page).inputValue(), '');
    assert.equal(await password(page).getAttribute('aria-invalid'), 'true');
    await alert.getByRole('link').click();
    assert.equal(await page.evaluate('document.activeElement.id'), 'password');
  });

  it('in the password is forgiven', async () => {
    const { page, party } = await begin();
    await signIn(page, party.user.email, 'not this one at all');
    await page.getByRole('alert').waitFor();

    await givePassword(page);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  describe('tells nobody who has an account:', () => {
    interface Answer {
      steps: { status: number; headers: Record<string, string> }[];
      html: string;
      title: string;
    }

    /** Everything a browser learns after it sent the password, less what is random in every answer. */
    async function answerTo(address: string): Promise<Answer> {
      const { page } = await begin();
      const uid = new URL(page.url()).pathname.split('/').at(-1) ?? '';
      await giveEmail(page, address);
      await heading(page, 'Enter your password');
      const responses: Response[] = [];
      page.on('response', (response) => {
        if (response.request().isNavigationRequest()) responses.push(response);
      });
      await givePassword(page, 'not this one at all');
      await page.getByRole('alert').waitFor();

      const plain = (text: string) =>
        text
          .replaceAll(uid, '<uid>')
          .replaceAll(address, '<email>')
          .replaceAll(/name="csrf" value="[^"]*"/g, 'name="csrf" value="<token>"');
      const steps = await Promise.all(
        responses.map(async (response) => {
          const { date: _date, 'x-request-id': _id, ...headers } = await response.allHeaders();
          return {
            status: response.status(),
            headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, plain(value)])),
          };
        }),
      );
      return { steps, html: plain((await responses.at(-1)?.text()) ?? ''), title: await page.title() };
    }

    it('an unknown address, a wrong password and a closed account are answered alike to the letter', async () => {
      // All of one length, since the length of the page follows it.
      const [known, closed] = [await world.party(), await world.party()];
      await world.app.services.users.disable(world.tenant.actor, closed.user.id);

      const wrong = await answerTo(known.user.email);
      const unknown = await answerTo('deadbeef@example.com');
      const disabled = await answerTo(closed.user.email);

      assert.deepEqual(
        wrong.steps.map(({ status }) => status),
        [303, 200],
      );
      assert.ok(wrong.html.includes('<email>') && wrong.html.includes('<token>'));
      assert.deepEqual(unknown, wrong);
      assert.deepEqual(disabled, wrong);
    });

    it('not even the right password of a closed account', async () => {
      const { page, party } = await begin();
      await world.app.services.users.disable(world.tenant.actor, party.user.id);

      await signIn(page, party.user.email, GOOD_PASSWORD);

      await page.getByRole('alert').getByText('That email and password don’t match').waitFor();
    });
  });

  it('of leaving out the address is told at the address', async () => {
    const { page } = await begin();
    await withoutChecks(page);

    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').getByText('Enter your email address.').waitFor();
    await inspect(page, 'missing-email');

    assert.match(await page.title(), /^Error: Sign in/);
    assert.equal(await focused(page), 'alert');
    assert.equal(await email(page).getAttribute('aria-invalid'), 'true');
  });

  it('of leaving out the password is told at the password, and is no attempt', async () => {
    const { page, party } = await begin();
    await giveEmail(page, party.user.email);
    await heading(page, 'Enter your password');
    await withoutChecks(page);

    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('Enter your password.').waitFor();

    const attempts = await world.app
      .db('events')
      .where({ tenant_id: world.tenant.tenant.id, type: 'user.login_failed', target_id: party.user.id });
    assert.deepEqual(attempts, []);
    assert.match(await page.title(), /^Error: Enter your password/);
  });

  it('in the address is shown as it was typed, whatever that was', async () => {
    const { page, party } = await begin();

    for (const typed of ['ana', '"><script>alert(1)</script>@example.com', 'ana@exa mple.com']) {
      await showAsText(page);
      await withoutChecks(page);
      await giveEmail(page, typed);
      await page.getByRole('alert').getByText('Enter your whole email address').waitFor();
      assert.equal(await email(page).getAttribute('value'), typed);
    }
    await signIn(page, party.user.email);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  it('in the case of the address is none', async () => {
    const { page, party } = await begin();

    await signIn(page, `  ${party.user.email.toUpperCase()} `);
    await allow(page);

    assert.ok((await arrival(page, world))['code']);
  });

  it('after a good address does not bring the mistake back', async () => {
    const { page, party } = await begin();
    await withoutChecks(page);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').waitFor();
    await giveEmail(page, party.user.email);
    await heading(page, 'Enter your password');

    await page.getByRole('link', { name: 'Change' }).click();
    await heading(page, 'Sign in');

    assert.equal(await page.getByRole('alert').count(), 0);
    assert.equal(await email(page).inputValue(), party.user.email);
  });
});
