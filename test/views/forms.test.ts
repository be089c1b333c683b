import assert from 'node:assert/strict';
import type { Page, Route } from 'playwright-core';
import { faultsOf, newPage } from '../support/browser.ts';
import { automaticSignOutPage, samplePages, servePages, type PageServer } from './sample-pages.ts';

/** An answer without content leaves the browser on the page that was sent. */
const stay = (route: Route): Promise<void> => route.fulfill({ status: 204 });

describe('forms', () => {
  let server: PageServer;

  before(async () => {
    server = await servePages(new Map([...samplePages(), ['sign-out-automatic', automaticSignOutPage()]]));
  });

  after(() => server.close());

  beforeEach(() => {
    server.posted.length = 0;
  });

  async function open(name: string, options: Parameters<typeof newPage>[0] = {}): Promise<Page> {
    const page = await newPage({ ...options, context: { baseURL: server.origin } });
    await page.goto(`/${name}`);
    return page;
  }

  /** Attributes by name. */
  async function attributesOf(page: Page, selector: string): Promise<Record<string, string>> {
    return await page.evaluate(
      `Object.fromEntries([...document.querySelector('${selector}').attributes].map((a) => [a.name, a.value]))`,
    );
  }

  /** Something of every element, as an expression of `e`. */
  async function ofAll<T>(page: Page, selector: string, expression: string): Promise<T[]> {
    return await page.evaluate(`[...document.querySelectorAll('${selector}')].map((e) => ${expression})`);
  }

  /** What has the focus, one description a press of Tab. */
  async function tabOrder(page: Page, presses: number): Promise<string[]> {
    const order: string[] = [];
    for (let press = 0; press <= presses; press++) {
      const name = `(document.activeElement.name || document.activeElement.ariaLabel || document.activeElement.innerText)`;
      order.push(
        String(await page.evaluate(name))
          .trim()
          .split('\n')[0] ?? '',
      );
      await page.keyboard.press('Tab');
    }
    return order;
  }

  describe('markup that password managers and keyboards understand', () => {
    it('is in the email field', async () => {
      const page = await open('identifier');

      const {
        type,
        name,
        autocomplete,
        autocapitalize,
        spellcheck,
        dir,
        enterkeyhint,
        placeholder,
        ...rest
      } = await attributesOf(page, '#username');

      assert.deepEqual(
        { type, name, autocomplete, autocapitalize, spellcheck, dir, enterkeyhint },
        {
          type: 'email',
          name: 'username',
          autocomplete: 'username webauthn',
          autocapitalize: 'none',
          spellcheck: 'false',
          dir: 'ltr',
          enterkeyhint: 'next',
        },
      );
      assert.equal(placeholder, undefined);
      assert.equal(rest['required'], '');
    });

    it('is in the password field, with the username in the input before it', async () => {
      const page = await open('password');

      const { type, autocomplete } = await attributesOf(page, '#password');
      const before = await page.evaluate<string[]>(`
        [...document.querySelector('form').elements].filter((e) => e.type !== 'hidden' && e.localName === 'input')
          .map((e) => e.autocomplete + '=' + e.value)`);

      assert.deepEqual({ type, autocomplete }, { type: 'password', autocomplete: 'current-password' });
      assert.deepEqual(before, ['username=ana@acme.com', 'current-password=']);
    });

    it('is in the field of a new password, with its rule said before and the username before it', async () => {
      const page = await open('setup');

      const { autocomplete, passwordrules, maxlength, ...rest } = await attributesOf(page, '#password');
      const described = await page.locator(`#${rest['aria-describedby']}`).textContent();

      assert.equal(autocomplete, 'new-password');
      assert.equal(passwordrules, 'minlength: 15; maxlength: 256;');
      // It would cut off what is pasted, without a word.
      assert.equal(maxlength, undefined);
      assert.match(described ?? '', /15 characters/);
      assert.deepEqual(await ofAll(page, '[autocomplete=username], [autocomplete=new-password]', 'e.name'), [
        'email',
        'password',
      ]);
    });

    it('is one submit button a form, never disabled', async () => {
      const page = await newPage({ context: { baseURL: server.origin } });
      for (const name of samplePages().keys()) {
        await page.goto(`/${name}`);

        const counts = await ofAll<number>(page, 'main form', 'e.querySelectorAll("[type=submit]").length');

        assert.ok(
          counts.every((count) => count === 1),
          name,
        );
        assert.equal(await page.locator(':disabled').count(), 0, name);
      }
    });
  });

  describe('faults', () => {
    it('are in the title, and a summary with the focus leads to the field', async () => {
      const page = await open('identifier-error');

      const field = await attributesOf(page, '#username');
      const focused = await page.evaluate('document.activeElement.getAttribute("role")');
      await page.getByRole('alert').getByRole('link').click();

      assert.match(await page.title(), /^Error: /);
      assert.equal(focused, 'alert');
      assert.equal(field['aria-invalid'], 'true');
      assert.equal(await page.locator(`#${field['aria-describedby']}`).getAttribute('role'), 'alert');
      assert.equal(await page.evaluate('document.activeElement.id'), 'username');
    });

    it('of several fields are listed, and said again at each', async () => {
      const page = await open('setup-errors');

      const links = await ofAll(page, '[role=alert] a', 'e.hash');
      const { 'aria-describedby': notes = '' } = await attributesOf(page, '#password');

      assert.deepEqual(links, ['#email', '#password']);
      assert.deepEqual(notes.split(' '), ['password-hint', 'password-error']);
      assert.equal(await page.locator('#name').getAttribute('aria-invalid'), null);
    });

    it('of several fields are listed in the order of the fields', async () => {
      const page = await open('sign-up-profile-errors');

      assert.deepEqual(await ofAll(page, '[role=alert] a', 'e.hash'), ['#name', '#password']);
    });

    it('that are not of the field do not mark it', async () => {
      const page = await open('password-throttled');

      assert.match(await page.getByRole('alert').innerText(), /Wait 40 seconds/);
      assert.equal(await page.locator('#password').getAttribute('aria-invalid'), null);
    });

    it('keep what was typed, but never a password', async () => {
      const identifier = await open('identifier-error');
      const password = await open('password-mismatch');

      assert.equal(await identifier.locator('#username').inputValue(), 'ana@acme.com');
      assert.equal(await password.locator('#password').inputValue(), '');
    });
  });

  describe('by keyboard', () => {
    /** Browsers give the focus away with the first frame they draw, a moment after the page is there. */
    const untilFocused = (page: Page) => page.locator('[autofocus]:focus').waitFor();

    async function openFocused(name: Parameters<typeof open>[0]): Promise<Page> {
      const page = await open(name);
      await untilFocused(page);
      return page;
    }

    it('start in the email field and go on in reading order', async () => {
      const page = await openFocused('identifier');

      assert.deepEqual(await tabOrder(page, 2), ['username', 'Continue', 'Back to Notes']);
    });

    it('start in the password field and never stop at the hidden username', async () => {
      const page = await openFocused('password');

      assert.deepEqual(await tabOrder(page, 3), ['password', 'Show password', 'Sign in', 'Back to Notes']);
      await page.reload();
      await untilFocused(page);
      await page.keyboard.press('Shift+Tab');
      assert.match(String(await page.evaluate('document.activeElement.innerText')), /^Change/);
    });

    it('show where the focus is', async () => {
      const page = await openFocused('password');

      for (const press of ['password', 'reveal', 'submit', 'link']) {
        const outline = await page.evaluate<{ style: string; width: string }>(
          '(({ outlineStyle, outlineWidth }) => ({ style: outlineStyle, width: outlineWidth }))(getComputedStyle(document.activeElement))',
        );
        assert.deepEqual(outline, { style: 'solid', width: '2px' }, press);
        await page.keyboard.press('Tab');
      }
    });
  });

  describe('with JavaScript', () => {
    it('show the password on demand, and hide it again before it is sent', async () => {
      const page = await open('password');
      const reveal = page.getByRole('button', { name: 'Show password' });

      await page.locator('#password').fill('correct horse');
      await reveal.click();
      const shown = await attributesOf(page, '#password');
      const pressed = await reveal.getAttribute('aria-pressed');
      await page.route('**/posted', stay);
      await page.getByRole('button', { name: 'Sign in' }).click();

      assert.equal(shown['type'], 'text');
      assert.equal(pressed, 'true');
      assert.equal(await page.locator('#password').getAttribute('type'), 'password');
      assert.equal(await reveal.getAttribute('aria-pressed'), 'false');
    });

    it('say that they are being sent without changing size, are sent once, and can be sent again after 10 seconds', async () => {
      const page = await open('password');
      await page.clock.install();
      let requests = 0;
      await page.route('**/posted', async (route) => {
        requests++;
        await stay(route);
      });
      const button = page.locator('main button[type=submit]');
      const before = await button.boundingBox();

      await page.locator('#password').fill('correct horse');
      await button.click();
      const name = await page.getByRole('button', { name: 'Signing in…' }).count();
      await button.click();
      const busy = await button.getAttribute('aria-busy');
      const during = await button.boundingBox();
      await page.clock.fastForward(10_000);

      assert.equal(name, 1);
      assert.equal(busy, 'true');
      assert.deepEqual(during, before);
      assert.equal(requests, 1);
      assert.equal(await button.getAttribute('aria-busy'), null);
      await button.click();
      assert.equal(requests, 2);
    });

    it('are ready again when one comes back to them', async () => {
      const page = await open('password');

      await page.locator('#password').fill('correct horse');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('heading', { name: 'There' }).waitFor();
      await page.goBack();

      assert.equal(await page.locator('main button[type=submit]').getAttribute('aria-busy'), null);
    });

    it('copy the reference of an error', async () => {
      const page = await open('error-failed');
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);

      await page.getByRole('button', { name: 'Copy reference' }).click();
      await page.getByRole('status').filter({ hasText: 'Copied' }).waitFor();

      const copied = await page.evaluate('navigator.clipboard.readText()');
      assert.equal(copied, await page.locator('#reference').textContent());
    });

    it('sign out at once whoever need not be asked', async () => {
      const page = await open('sign-out-automatic');

      await page.getByRole('heading', { name: 'There' }).waitFor();

      assert.deepEqual(
        server.posted.map((form) => Object.fromEntries(form)),
        [{ xsrf: 'x', logout: 'yes' }],
      );
      assert.deepEqual(faultsOf(page), []);
    });
  });

  describe('without JavaScript', () => {
    const csrf = 'nonce.token';
    const press = (name: string | RegExp) => (page: Page) =>
      page.getByRole('button', { name, exact: true }).click();
    const fill = (fields: Record<string, string>) => async (page: Page) => {
      for (const [label, value] of Object.entries(fields)) {
        await page.getByLabel(label, { exact: true }).fill(value);
      }
      await page.keyboard.press('Enter');
    };

    const CASES: { name: string; act: (page: Page) => Promise<void>; posts: Record<string, string> }[] = [
      {
        name: 'identifier',
        act: fill({ Email: 'ana@acme.com' }),
        posts: { csrf, username: 'ana@acme.com' },
      },
      {
        name: 'password',
        act: fill({ Password: 'correct horse' }),
        posts: { csrf, username: 'ana@acme.com', password: 'correct horse' },
      },
      { name: 'accounts', act: press(/^ana@acme.com/), posts: { csrf, account: 'a' } },
      {
        name: 'accounts',
        act: press('Remove bo.ana@acme.com from this browser'),
        posts: { csrf, account: 'b' },
      },
      { name: 'consent', act: press('Allow'), posts: { csrf, decision: 'allow' } },
      { name: 'consent', act: press('Cancel'), posts: { csrf, decision: 'cancel' } },
      { name: 'sign-out', act: press('Sign out'), posts: { xsrf: 'x', logout: 'yes' } },
      { name: 'sign-out', act: press('Only sign out of Notes'), posts: { xsrf: 'x' } },
      { name: 'sign-out-automatic', act: press('Sign out'), posts: { xsrf: 'x', logout: 'yes' } },
      {
        name: 'setup',
        act: fill({ 'Your name': 'Ana', Email: 'ana@acme.com', 'New password': 'correct horse battery' }),
        posts: {
          csrf,
          token: 'secret',
          name: 'Ana',
          email: 'ana@acme.com',
          password: 'correct horse battery',
        },
      },
    ];

    for (const { name, act, posts } of CASES) {
      it(`post ${Object.keys(posts).join(', ')} from ${name}`, async () => {
        const page = await open(name, { javaScript: false });

        await act(page);
        await page.getByRole('heading', { name: 'There' }).waitFor();

        assert.deepEqual(
          server.posted.map((form) => Object.fromEntries(form)),
          [posts],
        );
      });
    }

    it('have no button that would do nothing', async () => {
      for (const name of ['password', 'error-failed', 'landing']) {
        const page = await open(name, { javaScript: false });

        assert.equal(await page.locator('button[type=button]:visible').count(), 0, name);
      }
    });

    it('put the focus where it belongs', async () => {
      const [fresh, faulty] = [
        await open('password', { javaScript: false }),
        await open('password-mismatch', { javaScript: false }),
      ];

      assert.equal(await fresh.evaluate('document.activeElement.id'), 'password');
      assert.equal(await faulty.evaluate('document.activeElement.id'), 'fault');
    });
  });
});

describe('consent', () => {
  it('asks with two buttons of one weight', async () => {
    const server = await servePages(samplePages());
    const page = await newPage({ context: { baseURL: server.origin } });
    await page.goto('/consent');

    const [cancel, allow] = await page.evaluate<unknown[]>(`
      [...document.querySelectorAll('.button')].map((e) => {
        const { width, height } = e.getBoundingClientRect();
        const { color, backgroundColor, borderColor, font } = getComputedStyle(e);
        return { width, height, color, backgroundColor, borderColor, font };
      })`);

    assert.ok(cancel);
    assert.deepEqual(cancel, allow);
    await server.close();
  });

  it('marks what is new where something was allowed before', async () => {
    const server = await servePages(samplePages());
    const page = await newPage({ context: { baseURL: server.origin } });

    await page.goto('/consent');
    const first = await page.getByText('New', { exact: true }).count();
    await page.goto('/consent-extended');
    const later = await page.getByText('New', { exact: true }).count();

    assert.deepEqual({ first, later }, { first: 0, later: 2 });
    await server.close();
  });
});
