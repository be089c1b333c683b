import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { createAssets } from '../../src/http/assets.ts';
import { createCsrf } from '../../src/http/csrf.ts';
import type { AppMiddleware } from '../../src/http/request-state.ts';
import { createViews } from '../../src/http/views.ts';
import { createSetupPages } from '../../src/setup/setup-pages.ts';
import { setupRoutes } from '../../src/setup/setup-routes.ts';
import { tenantStore } from '../../src/tenants/tenant-store.ts';
import { createPasswordPolicy } from '../../src/users/password-policy.ts';
import { startApp, stopServers } from '../http/support.ts';
import type { RunningApp } from '../http/support.ts';
import { newTenant, testDb } from '../support/database.ts';
import { GOOD_PASSWORD, eventsOf, newKey, operator } from '../users/people.ts';
import { setupOn, tokenOf } from './setup.ts';

const VIEWS = join(import.meta.dirname, '../../views');

describe('set-up routes', () => {
  let db: Knex;
  let tenantId: string;
  let path: string;
  let app: RunningApp;

  before(async () => {
    db = await testDb();
  });

  beforeEach(async () => {
    const tenant = await newTenant(db);
    tenantId = tenant.id;
    path = `/t/${tenant.slug}/setup`;
    const assets = createAssets({ dir: join(VIEWS, 'assets') });
    const views = createViews({ dir: VIEWS, assetUrl: (name) => assets.url(name) });
    const router = setupRoutes({
      setup: setupOn(db),
      findTenant: (slug) => tenantStore(db).findBySlug(slug),
      csrf: createCsrf({ key: newKey(), publicUrl: 'https://auth.example' }),
      pages: createSetupPages({ views }),
      passwordRules: createPasswordPolicy({ minLength: 15 }),
      publicUrl: 'https://auth.example',
      demoUrl: '/demo',
    });
    app = await startApp(router.routes() as unknown as AppMiddleware);
  });

  afterEach(stopServers);

  interface Answer {
    status: number;
    headers: Headers;
    html: string;
  }

  /** A browser as far as this matters: keeps the cookie, follows nothing by itself. */
  function browser() {
    let cookie = '';
    async function send(
      target: string,
      {
        headers = {},
        ...init
      }: { method?: string; body?: URLSearchParams; headers?: Record<string, string> } = {},
    ): Promise<Answer> {
      const response = await fetch(new URL(target, app.url), {
        redirect: 'manual',
        ...init,
        headers: { Accept: 'text/html', ...(cookie && { Cookie: cookie }), ...headers },
      });
      const set = response.headers.get('set-cookie');
      if (set) cookie = set.split(';', 1)[0] ?? '';
      return { status: response.status, headers: response.headers, html: await response.text() };
    }
    return {
      get: (target: string) => send(target),
      post: (fields: Record<string, string>, headers: Record<string, string> = {}) =>
        send(path, { method: 'POST', body: new URLSearchParams(fields), headers }),
    };
  }

  const issue = async () => tokenOf((await setupOn(db).issueLink(operator(tenantId))).url);

  /** Opens the link as a person does. */
  async function open(token: string) {
    const person = browser();
    await person.get(`${path}?token=${token}`);
    const { html } = await person.get(path);
    const fields: Record<string, string> = { ...hiddenFieldsOf(html), ...ANA };
    return { person, fields };
  }

  const ANA = { email: 'ana@example.com', name: 'Ana', password: GOOD_PASSWORD };

  it('moves the secret from the address into a cookie that scripts cannot read and no other path gets', async () => {
    const token = await issue();

    const { status, headers } = await browser().get(`${path}?token=${token}`);

    assert.equal(status, 303);
    assert.equal(headers.get('location'), path);
    assert.equal(headers.get('referrer-policy'), 'no-referrer');
    assert.equal(headers.get('cache-control'), 'no-store');
    const cookie = headers.get('set-cookie') ?? '';
    assert.ok(cookie.startsWith(`__Secure-gatehouse_setup=${token};`));
    for (const part of [`path=${path}`, 'httponly', 'secure', 'samesite=lax']) {
      assert.ok(cookie.toLowerCase().includes(part), `${part} in ${cookie}`);
    }
  });

  it('makes the administrator, answers 303, and says who it is', async () => {
    const { person, fields } = await open(await issue());

    const posted = await person.post(fields);
    const done = await person.get(posted.headers.get('location') ?? '');

    assert.equal(posted.status, 303);
    assert.equal(posted.headers.get('location'), `${path}/done`);
    assert.equal(done.status, 200);
    assert.ok(done.html.includes('ana@example.com'));
    assert.ok(done.html.includes('href="/demo"'));
    assert.ok(!done.html.includes(GOOD_PASSWORD));
    const [event] = await eventsOf(db, tenantId, 'admin.created');
    assert.equal(event?.ip, '127.0.0.1');
  });

  it('is not used up by looking at it', async () => {
    const token = await issue();

    for (let visit = 0; visit < 3; visit += 1) {
      const { person } = await open(token);
      assert.equal((await person.get(path)).status, 200);
    }
    const { person, fields } = await open(token);

    assert.equal((await person.post(fields)).status, 303);
  });

  it('shows what is wrong, keeps what was typed except the password, and keeps the link', async () => {
    const { person, fields } = await open(await issue());

    const refused = await person.post({
      ...fields,
      email: 'ana@evil@example.com"><script>',
      password: 'mossy lantern<script>',
    });
    const short = await person.post({ ...fields, password: 'hunter2hunter2' });
    const nameless = await person.post({ ...fields, name: ' ' });
    const accepted = await person.post(fields);

    assert.equal(refused.status, 400);
    assert.ok(refused.html.includes('Enter an e-mail address'));
    assert.ok(refused.html.includes('&lt;script&gt;') && !refused.html.includes('<script>'));
    assert.equal(short.status, 400);
    assert.ok(short.html.includes('Use at least 15 characters'));
    assert.ok(short.html.includes('value="ana@example.com"') && short.html.includes('value="Ana"'));
    assert.ok(!refused.html.includes('mossy lantern') && !short.html.includes('hunter2'));
    assert.ok(nameless.html.includes('Enter your name'));
    assert.equal(accepted.status, 303);
  });

  it('refuses a form without token, with the token of another link, or sent from another site', async () => {
    const token = await issue();
    const { person, fields } = await open(token);

    const answers = [
      await person.post({ ...fields, csrf: '' }),
      await person.post({ ...fields, csrf: `${fields['csrf']}x` }),
      await person.post({ ...fields, token: 'another' }),
      await person.post(fields, { Origin: 'https://evil.example' }),
      await person.post(fields, { 'Sec-Fetch-Site': 'cross-site' }),
    ];

    assert.deepEqual(
      answers.map(({ status }) => status),
      [403, 403, 403, 403, 403],
    );
    assert.equal(await setupOn(db).inspect(tenantId, token), 'open');
  });

  it('refuses missing and repeated fields', async () => {
    const { person, fields } = await open(await issue());
    const { password: _, ...incomplete } = fields;
    const body = `${new URLSearchParams(fields).toString()}&email=eve%40example.com`;
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };

    const missing = await person.post(incomplete);
    const repeated = await fetch(new URL(path, app.url), { method: 'POST', body, headers });

    assert.equal(missing.status, 400);
    assert.equal(repeated.status, 400);
  });

  it('answers 410 for a used link, also to who comes second with the form open, and 303 to the first', async () => {
    const token = await issue();
    const [first, second] = [await open(token), await open(token)];

    const won = await first.person.post(first.fields);
    const lost = await second.person.post({ ...second.fields, email: 'eve@example.com' });
    const later = await second.person.get(path);

    assert.deepEqual([won.status, lost.status, later.status], [303, 410, 410]);
    assert.ok(lost.html.includes('already used') && later.html.includes('already used'));
  });

  it('answers 410 for an expired link and one that never was, alike', async () => {
    const token = await issue();
    await db('one_time_tokens').where({ tenant_id: tenantId }).update({ expires_at: new Date() });

    const answers: Answer[] = [];
    for (const given of [token, 'never', 'with;odd, "characters"', '']) {
      const person = browser();
      await person.get(`${path}?token=${encodeURIComponent(given)}`);
      answers.push(await person.get(path));
    }

    assert.deepEqual(
      answers.map(({ status }) => status),
      [410, 410, 410, 410],
    );
    assert.ok(answers.every(({ html }) => html === answers[0]?.html));
  });

  it('is closed to visitors without a link: 410 before, 403 after there is an administrator', async () => {
    const before = await browser().get(path);
    const { person, fields } = await open(await issue());
    await person.post(fields);

    const after = await browser().get(path);
    const done = await browser().get(`${path}/done`);

    assert.equal(before.status, 410);
    assert.equal(after.status, 403);
    assert.equal(done.status, 303);
    assert.ok(!after.html.includes('ana@example.com'));
  });

  it('answers 404 for tenants that do not exist or are disabled', async () => {
    await db('tenants').where({ id: tenantId }).update({ disabled_at: new Date() });

    const answers = await Promise.all(
      [path, '/t/nobody/setup', '/t/default/setup', `${path}/done`].map((target) => browser().get(target)),
    );

    assert.deepEqual(
      answers.map(({ status }) => status),
      [404, 404, 404, 404],
    );
  });

  it('writes the link into no log line', async () => {
    const token = await issue();
    const { person, fields } = await open(token);
    await person.post(fields);

    const log = JSON.stringify(app.lines);

    assert.ok(log.length > 100);
    assert.ok(!log.includes(token) && !log.includes(GOOD_PASSWORD));
  });
});

function hiddenFieldsOf(html: string): Record<string, string> {
  const inputs = html.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g);
  return Object.fromEntries([...inputs].map(([, name = '', value = '']) => [name, value]));
}
