import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

describe('the language of a page', function () {
  this.timeout(30_000);

  let app: TestApp;
  let home: TestTenant;
  let party: RelyingParty;

  before(async () => {
    app = await startTestApp();
    home = await app.tenant();
    party = await createRelyingParty(app, home);
  });

  after(() => app.close());

  /** What a page is in, by its own account and by its headers, which never differ. */
  function languageOf({ body, headers }: Page): string {
    const [, lang = ''] = /<html lang="([^"]*)"/.exec(body) ?? [];
    assert.equal(headers.get('content-language'), lang);
    assert.match(headers.get('vary') ?? '', /Accept-Language, Cookie/);
    return lang;
  }

  async function signInPage(agent: UserAgent, params: Record<string, string> = {}, accept?: string) {
    const headers: Record<string, string> = accept === undefined ? {} : { 'accept-language': accept };
    const { location = '' } = await agent.get(party.authorizationUrl(params), headers);
    return agent.get(location, headers);
  }

  const choose = (agent: UserAgent, locale: string, fields: Record<string, string> = {}) =>
    agent.post(`${app.url}/locale`, { locale, return_to: '/', ...fields });

  it('is English where nobody asks for another one', async () => {
    const page = await signInPage(createUserAgent());

    assert.equal(languageOf(page), 'en');
    assert.match(page.body, /<html lang="en" dir="ltr">/);
    assert.match(page.body, /<h1>Sign in<\/h1>/);
  });

  it('is what the browser prefers, of what there is', async () => {
    assert.equal(languageOf(await signInPage(createUserAgent(), {}, 'nl, de-AT;q=0.9, en;q=0.8')), 'de');
    assert.equal(languageOf(await signInPage(createUserAgent(), {}, 'nl')), 'en');
  });

  it('is written from right to left in Arabic', async () => {
    const page = await signInPage(createUserAgent(), {}, 'ar-EG');

    assert.match(page.body, /<html lang="ar" dir="rtl">/);
    assert.match(page.body, /<h1>تسجيل الدخول<\/h1>/);
    assert.match(page.body, /dir="ltr"/);
  });

  it('is what was chosen in this browser before what the browser prefers', async () => {
    const agent = createUserAgent();

    await choose(agent, 'fr');

    assert.equal(languageOf(await signInPage(agent, {}, 'de')), 'fr');
  });

  it('is what the app asks for before what was chosen, on every page of the sign-in', async () => {
    const agent = createUserAgent();
    await choose(agent, 'fr');

    const page = await signInPage(agent, { ui_locales: 'nl es-MX de' }, 'de');
    const next = await agent.submit(page, '/identifier', { username: party.user.email });
    const password = await agent.get(next.location ?? '', { 'accept-language': 'de' });

    assert.equal(languageOf(page), 'es');
    assert.equal(languageOf(password), 'es');
    assert.match(password.body, /Introduce tu contraseña/);
  });

  it('is what was chosen where the app asks for a language there is not', async () => {
    const agent = createUserAgent();
    await choose(agent, 'fr');

    assert.equal(languageOf(await signInPage(agent, { ui_locales: 'nl' })), 'fr');
  });

  it('is what was chosen on a page that the app had asked for in another language', async () => {
    const agent = createUserAgent();
    const page = await signInPage(agent, { ui_locales: 'de' });

    const switched = await agent.submit(page, '/locale', { locale: 'ar' });
    const again = await agent.get(switched.location ?? '');

    assert.equal(switched.status, 303);
    assert.equal(switched.location, page.url);
    assert.equal(languageOf(again), 'ar');
    assert.equal(languageOf(await signInPage(agent, { ui_locales: 'es' })), 'es');
    assert.equal(languageOf(await signInPage(agent, { ui_locales: 'de' })), 'ar');
  });

  it("is the tenant's where nobody asks", async () => {
    const tenant = await app.tenant();
    await app.services.tenants.update(tenant.actor, tenant.tenant.slug, { settings: { locale: 'de' } });
    const other = await createRelyingParty(app, tenant);
    const agent = createUserAgent();

    const { location = '' } = await agent.get(other.authorizationUrl());

    assert.equal(languageOf(await agent.get(location)), 'de');
    assert.equal(languageOf(await agent.get(location, { 'accept-language': 'fr' })), 'fr');
  });

  it('is that of the request on error pages too, before and after a tenant is known', async () => {
    const agent = createUserAgent();
    const german = { 'accept-language': 'de' };

    const nowhere = await agent.get(`${app.url}/nowhere`, german);
    const nobody = await agent.get(`${app.url}/t/nobody/authorize`, german);
    const lost = await agent.get(`${home.issuer}/interaction/never-was`, german);
    const refused = await agent.get(`${home.issuer}/authorize?client_id=nobody&ui_locales=fr`, german);
    const forged = await agent.post(
      `${app.url}/setup`,
      { csrf: '', token: '', email: '', name: '', password: '' },
      german,
    );

    assert.deepEqual([nowhere, nobody, lost, refused, forged].map(languageOf), [
      'de',
      'de',
      'de',
      'fr',
      'de',
    ]);
    assert.match(nowhere.body, /Seite nicht gefunden/);
    assert.match(lost.body, /Diese Seite ist abgelaufen/);
    assert.match(forged.body, /Dieses Formular ist nicht mehr gültig/);
  });

  it('is English for programs, whatever they ask for', async () => {
    const response = await fetch(`${app.url}/nowhere`, { headers: { 'accept-language': 'de' } });

    assert.equal(response.headers.get('content-language'), null);
    assert.match(await response.text(), /There is nothing at this address/);
  });

  it('is told to apps by discovery', async () => {
    const response = await fetch(`${home.issuer}/.well-known/openid-configuration`);

    assert.deepEqual(((await response.json()) as { ui_locales_supported: string[] }).ui_locales_supported, [
      'en',
      'ar',
      'de',
      'es',
      'fr',
    ]);
  });

  it('ignores a choice that means nothing', async () => {
    const agent = createUserAgent();

    const { status, headers } = await choose(agent, 'xx');

    assert.equal(status, 303);
    assert.deepEqual(headers.getSetCookie(), []);
    for (const cookie of [
      'gatehouse_locale=',
      'gatehouse_locale=xx',
      'gatehouse_locale=<script>',
      'x=gatehouse_locale=fr',
    ])
      assert.equal(languageOf(await agent.get(`${app.url}/`, { cookie })), 'en', cookie);
  });

  it('is chosen with a cookie that no script reads', async () => {
    const { headers } = await choose(createUserAgent(), 'fr');

    assert.match(
      headers.getSetCookie()[0] ?? '',
      /^gatehouse_locale=fr; path=\/; expires=.*; samesite=lax; httponly$/i,
    );
  });

  it('never leads to another site', async () => {
    for (const returnTo of [
      '//evil.example',
      '/\\evil.example',
      'https://evil.example',
      '/\t/evil.example',
      'evil',
      '',
    ]) {
      const { location } = await choose(createUserAgent(), 'fr', { return_to: returnTo });

      assert.equal(location, `${app.url}/`, returnTo);
    }
  });
});
