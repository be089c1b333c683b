import assert from 'node:assert/strict';
import type { Page, Response } from 'playwright-core';
import { sha256 } from '../../src/lib/ids.ts';
import { giveEmail, heading, inspect, openPage, startWorld, TIMEOUT_MS } from './support.ts';
import type { Party, World } from './support.ts';

describe('an error page', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world.close());

  interface Case {
    status: number;
    title: string;
    /** What the log says about it, besides the line of the request. */
    logged?: string;
    provoke: (page: Page, party: Party) => Promise<Response | null>;
  }

  const startWith = async (page: Page, party: Party, params: Record<string, string>) =>
    page.goto(party.authorizationUrl({ redirect_uri: world.redirectUri, ...params }));

  const uidOf = (page: Page) => new URL(page.url()).pathname.split('/')[4] ?? '';

  const CASES: Record<string, Case> = {
    'of an unknown app': {
      status: 400,
      title: 'That didn’t work',
      logged: 'authorization.error',
      provoke: (page, party) => startWith(page, party, { client_id: 'nobody' }),
    },
    'of an address the app has not registered': {
      status: 400,
      title: 'That didn’t work',
      logged: 'authorization.error',
      provoke: (page, party) => startWith(page, party, { redirect_uri: 'https://evil.example/' }),
    },
    'of an address that is not there': {
      status: 404,
      title: 'Page not found',
      provoke: (page) => page.goto(`${world.tenant.issuer}/nowhere`),
    },
    'of a tenant that is not there': {
      status: 404,
      title: 'Page not found',
      provoke: (page) => page.goto(`${world.app.url}/t/nobody/authorize`),
    },
    'of a sign-in that never was': {
      status: 400,
      title: 'This page has expired',
      provoke: (page) => page.goto(`${world.tenant.issuer}/interaction/never-was`),
    },
    'of a way back that never was': {
      status: 400,
      title: 'This page has expired',
      logged: 'authorization.error',
      provoke: (page) => page.goto(`${world.tenant.issuer}/authorize/never-was`),
    },
    'of a sign-out with a made-up hint': {
      status: 400,
      title: 'That didn’t work',
      logged: 'end_session.error',
      provoke: (page) => page.goto(`${world.tenant.issuer}/logout?id_token_hint=made-up`),
    },
    'of a forged form': {
      status: 403,
      title: 'You do not have access',
      logged: 'request refused',
      async provoke(page, party) {
        await party.start(page);
        await page.evaluate("document.querySelector('[name=csrf]').value = 'forged'");
        const answer = page.waitForResponse((response) => response.request().method() === 'POST');
        await giveEmail(page, party.user.email);
        return answer;
      },
    },
    'of a store that cannot answer': {
      status: 503,
      title: 'Back in a moment',
      logged: 'request failed',
      async provoke(page, party) {
        await party.start(page);
        await world.app
          .db('login_states')
          .where({ id_hash: sha256(uidOf(page)) })
          .update({ state_sealed: 'garbage' });
        return page.reload();
      },
    },
  };

  for (const [what, { status, title, logged, provoke }] of Object.entries(CASES)) {
    it(`${what} says what to do, and its reference finds it in the log`, async () => {
      const [page, party] = [await openPage(), await world.party()];

      const response = await provoke(page, party);
      await heading(page, title);
      await inspect(page, `error-${what.replaceAll(' ', '-')}`);

      const reference = await page.locator('#reference').innerText();
      assert.equal(response?.status(), status);
      assert.equal(await response?.headerValue('x-request-id'), reference);
      const request = await world.line(
        (line) => line['correlationId'] === reference && line.msg === 'request',
      );
      assert.equal(request['status'], status);
      if (logged === undefined) return;
      assert.ok(
        world.lines.some((line) => line['correlationId'] === reference && line.msg === logged),
        JSON.stringify(world.lines.filter((line) => line['correlationId'] === reference)),
      );
    });
  }

  it('names the app and the way back to it, where that is known', async () => {
    const page = await openPage();
    const party = await world.party({ metadata: { client_uri: world.appUrl } });

    await startWith(page, party, { redirect_uri: 'https://evil.example/' });
    const evil = await page.getByRole('link', { name: /evil/ }).count();
    await page.getByText('Technical details').click();
    const details = await page.locator('details').innerText();
    await page.getByRole('link', { name: 'Back to Notes' }).click();
    await heading(page, 'The app');

    assert.equal(evil, 0);
    assert.ok(details.includes(party.clientId));
    assert.ok(details.includes('redirect_uri'));
  });

  it('needs no JavaScript', async () => {
    const page = await openPage({ javaScript: false });

    await page.goto(`${world.tenant.issuer}/authorize?client_id=nobody`);
    await heading(page, 'That didn’t work');
    await page.getByText('Technical details').click();

    assert.match(await page.locator('details').innerText(), /invalid_client/);
    assert.equal(await page.getByRole('main').getByRole('button').count(), 0);
  });

  it('reveals nothing of what is behind it', async () => {
    const page = await openPage();
    const party = await world.party();
    await CASES['of a store that cannot answer']?.provoke(page, party);
    await heading(page, 'Back in a moment');

    const text = await page.locator('body').innerText();

    assert.doesNotMatch(text, /at \S+ \(|\.ts|garbage|sealed|select /i);
  });
});
