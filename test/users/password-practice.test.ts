import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { createApiWorld, ENDPOINTS } from '../management-api/api-world.ts';
import type { ApiWorld } from '../management-api/api-world.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { newPage } from '../support/browser.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import { linkIn, startSmtpSink } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';

const TEMPORARY = 'nine quiet harbours awake';
/** Longer than what people type, as managers make them: blanks, signs and letters of any script. */
const PASTED = `${'7v#Qz pL'.repeat(8)} Œuvre—日本語 !`;
const OTHER = `${'x9$Rk mW'.repeat(8)} another`;

describe('passwords', () => {
  let app: TestApp;
  let sink: SmtpSink;
  let world: ApiWorld;

  before(async () => {
    sink = await startSmtpSink();
    app = await startTestApp({ env: { SMTP_URL: sink.url } });
    world = await createApiWorld(app);
  });
  after(async () => {
    await app.close();
    await sink.close();
  });

  async function paste(page: Page, label: string, text: string): Promise<void> {
    await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
    const field = page.getByLabel(label, { exact: true });
    await field.focus();
    await page.keyboard.press('ControlOrMeta+V');
    assert.equal(await field.inputValue(), text, label);
  }

  const send = (page: Page) => page.locator('main button[type=submit]').first().click();

  it('are pasted whole wherever one is asked for or chosen (ASVS 6.2.7)', async () => {
    const rp = await createRelyingParty(app, world, { firstParty: true });
    const { id, email } = rp.user;
    await app.services.users.setPassword(world.actor, id, TEMPORARY, { isTemporary: true });
    await sink.mailTo(email);
    const told = sink.mails.length;
    const page = await newPage({ context: { permissions: ['clipboard-read', 'clipboard-write'] } });

    await page.goto(rp.authorizationUrl());
    await page.getByLabel('Email').fill(email);
    await send(page);
    await paste(page, 'Password', TEMPORARY);
    await send(page);
    await page.waitForURL(/own-password/);
    await paste(page, 'New password', PASTED);
    const signedIn = page.waitForRequest((request) => request.url().startsWith(REDIRECT_URI));
    await send(page);
    await signedIn;

    // The app is not there, and the browser is busy finding out.
    const portal = await page.context().newPage();
    await portal.goto(`${world.issuer}/account/security/password`);
    await paste(portal, 'Current password', PASTED);
    await paste(portal, 'New password', OTHER);
    await send(portal);
    await portal.waitForURL(/done=password/);

    // The notice of the change.
    await sink.mailTo(email, told);
    const before = sink.mails.length;
    const request = { email, binding: 'a-browser', locale: 'en' };
    await app.services.passwordReset.start({ ...world.actor, type: 'anonymous' }, request);
    await portal.goto(linkIn(await sink.mailTo(email, before)));
    await paste(portal, 'New password', PASTED);
    await send(portal);
    await portal.waitForURL(/link\/done/);

    const outcome = await app.services.passwordSignIn.verify(
      { ...world.actor, type: 'anonymous' },
      { email, password: PASTED },
    );
    assert.equal(outcome.ok, true);
  }).timeout(60_000);

  it('are set by nobody for somebody else but for one sign-in (ASVS 6.4.6)', () => {
    const taking = ENDPOINTS.filter(({ description }) => {
      const { shape } = Object(description.body) as { shape?: Record<string, unknown> };
      return shape && Object.keys(shape).some((name) => /password/i.test(name));
    }).map(({ method, path }) => `${method} ${path}`);

    assert.deepEqual(
      taking.toSorted(),
      [
        // One's own, or by the code of a mail.
        'post /auth/login',
        // By an administrator: temporary.
        'post /auth/register',
        'post /auth/reset-password',
        'post /auth/token',
        'post /auth/verify-email',
        'post /auth/password/reset/complete',
      ].toSorted(),
    );
  });

  it('have neither hints nor security questions beside them (ASVS 6.4.2)', async () => {
    const [schema, api] = await Promise.all(
      ['migrations/schema.txt', 'docs/openapi.json'].map((path) =>
        readFile(new URL(`../../${path}`, import.meta.url), 'utf8'),
      ),
    );
    const columns = [...(schema ?? '').matchAll(/^ {2}([a-z_]+) [a-z]/gm)].map(([, name]) => name ?? '');
    const fields = [...(api ?? '').matchAll(/"([\w-]+)": \{\s*"(?:type|\$ref|anyOf|allOf|const)"/g)].map(
      ([, name]) => name ?? '',
    );

    assert.ok(columns.includes('is_temporary') && fields.includes('password'));
    const asking = [...columns, ...fields].filter((name) =>
      /question|answer|hint|maiden|secret_word/i.test(name),
    );
    // The hint of a client's secret is its last characters, for an operator who has several.
    assert.deepEqual(
      asking.filter((name) => name !== 'hint'),
      [],
    );
  });
});
