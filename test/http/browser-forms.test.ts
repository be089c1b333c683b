import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { parseForm } from '../../src/http/body.ts';
import { createCsrf } from '../../src/http/csrf.ts';
import { allowFormAction } from '../../src/http/security-headers.ts';
import { newPage } from '../support/browser.ts';
import { serve, startApp, stopServers } from './support.ts';

/** A page with a form whose submission leads to a client, as sign-in and consent do. */
async function signInPage({ policyNamesClient }: { policyNamesClient: boolean }) {
  const client = await serve((req, res) => {
    res.setHeader('Content-Type', 'text/html');
    // The app's own page opens the sign-in in a popup and hears from it through `opener`.
    if (req.url === '/app')
      res.end(`<button onclick="window.open('${app.publicUrl}/')">Sign in</button><p id="heard"></p>
        <script>onmessage = (event) => { heard.textContent = event.data }</script>`);
    else
      res.end(`<title>client</title>
        <script>if (opener) opener.postMessage('popup finished', '*')</script>`);
  });
  const key = randomBytes(32);
  const app = await startApp(
    async (ctx) => {
      const csrf = createCsrf({ key, publicUrl: app.publicUrl });
      if (ctx.method === 'GET') {
        if (policyNamesClient) allowFormAction(ctx, `${client.url}/callback`);
        ctx.type = 'html';
        ctx.body = `<title>sign-in</title><form method="post"><input name="csrf" value="${csrf.token('uid')}"><button>Go</button></form>`;
        return;
      }
      const form = await parseForm(ctx, z.object({ csrf: z.string() }));
      csrf.check(ctx, 'uid', form.csrf);
      ctx.redirect(`${client.url}/callback`);
      ctx.status = 303;
    },
    { atLoopback: true },
  );
  return { client, app };
}

describe('a form in a browser', () => {
  afterEach(stopServers);

  it('passes the origin and CSRF checks from a page that sends no referrer, and reaches the client', async () => {
    const { client, app } = await signInPage({ policyNamesClient: true });
    const page = await newPage();
    await page.goto(app.publicUrl);

    await page.getByRole('button', { name: 'Go' }).click();

    await page.waitForURL(`${client.url}/callback`);
  });

  it('does not reach a client whose origin the policy does not name', async () => {
    const { app } = await signInPage({ policyNamesClient: false });
    const page = await newPage();
    await page.goto(app.publicUrl);
    const refusal = page.waitForEvent('console', (message) => message.text().includes('form-action'));

    await page.getByRole('button', { name: 'Go' }).click();

    await refusal;
    assert.equal(await page.title(), 'sign-in');
  });

  it('in a popup leaves the way back to the app open', async () => {
    const { client } = await signInPage({ policyNamesClient: true });
    const page = await newPage();
    await page.goto(`${client.url}/app`);
    const opened = page.waitForEvent('popup');
    await page.getByRole('button', { name: 'Sign in' }).click();
    const popup = await opened;

    await popup.getByRole('button', { name: 'Go' }).click();

    await page.getByText('popup finished').waitFor();
  });
});
