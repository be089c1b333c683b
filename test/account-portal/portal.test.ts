import assert from 'node:assert/strict';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { isActive, tokensOf } from '../support/token-sets.ts';
import { createUserAgent, formsOf } from '../support/user-agent.ts';
import { visitorOf } from './visitor.ts';

const NEW_PASSWORD = 'velvet harbour tundra nine';
const PAGES = ['', '/security', '/security/password', '/devices', '/apps', '/activity'];
const FORMS = [
  ['/security/password', '/security/password'],
  ['/security/first-password', '/security/first-password'],
  ['/security/sign-out-others', '/security'],
  ['/devices/sign-out', '/devices'],
  ['/devices/sign-out-others', '/devices'],
  ['/apps/remove', '/apps'],
] as const;

describe('the account portal', function () {
  this.timeout(60_000);
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  const visitor = (options?: Parameters<typeof visitorOf>[2]) => visitorOf(app, tenant, options);
  const csrfOf = (html: string) => formsOf(html).find(({ hidden }) => hidden['csrf'])?.hidden['csrf'] ?? '';

  for (const path of PAGES) {
    it(`sends who is not signed in from ${path || '/'} to sign in, and back there`, async () => {
      const ana = await visitor();

      const first = await ana.agent.get(`${ana.base}${path}`);
      const page = await ana.open(path);

      assert.equal(first.status, 303);
      assert.ok(first.location?.startsWith(`${tenant.issuer}/authorize?`));
      assert.equal(page.status, 200);
      assert.equal(page.url, `${ana.base}${path}`);
      assert.match(page.body, /aria-current="page"/);
    });
  }

  for (const [action, page] of FORMS) {
    it(`sends who is not signed in from a form to ${action} to sign in, and back to its page`, async () => {
      const ana = await visitor();

      const answer = await ana.agent.post(`${ana.base}${action}`, {});

      const state = new URL(answer.location ?? '').searchParams.get('state');
      assert.equal(answer.status, 303);
      assert.equal(state, `${new URL(ana.base).pathname}${page}`);
    });

    it(`takes nothing at ${action} without the token of the session`, async () => {
      const [ana, eve] = [await visitor(), await visitor()];
      await ana.open();
      const foreign = csrfOf((await eve.open('/security/password')).body);

      const answers = [
        await ana.agent.post(`${ana.base}${action}`, { session: 'x', client: 'x' }),
        await ana.agent.post(`${ana.base}${action}`, { session: 'x', client: 'x', csrf: foreign }),
      ];

      assert.ok(foreign);
      assert.deepEqual(
        answers.map(({ status }) => status),
        [403, 403],
      );
    });
  }

  it('leads nowhere else after the sign-in, whatever the state says', async () => {
    const ana = await visitor();
    await ana.open();

    for (const state of [
      'https://evil.example/',
      '//evil.example',
      '/account/../logout',
      '/account\\@evil',
    ]) {
      const { location } = await ana.agent.get(
        `${ana.base}/signed-in?${new URLSearchParams({ code: 'x', state }).toString()}`,
      );
      assert.equal(location, ana.base, state);
    }
  });

  it('leaves out of the portal who thinks better of signing in', async () => {
    const ana = await visitor();
    const page = await ana.follow(await ana.agent.get(ana.base));
    const cancel = /href="([^"]*\/cancel)"/.exec(page.body)?.[1] ?? '';

    const left = await ana.follow(await ana.agent.get(new URL(cancel, page.url).href));

    assert.equal(left.url, `${tenant.issuer}/`);
  });

  it('gives the browser a code that nobody can redeem, and no token', async () => {
    const ana = await visitor();
    const first = await ana.follow(await ana.agent.get(ana.base));
    const second = await ana.follow(await ana.agent.submit(first, '/identifier', { username: ana.email }));
    let page = await ana.agent.submit(second, '/password', { password: GOOD_PASSWORD });
    while (page.location && !page.location.includes('/account/signed-in'))
      page = await ana.agent.get(page.location);

    const code = new URL(page.location ?? '').searchParams.get('code') ?? '';
    const response = await fetch(`${tenant.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: 'gatehouse-account',
        code,
        redirect_uri: `${tenant.issuer}/account/signed-in`,
        code_verifier: 'a'.repeat(43),
      }),
    });

    assert.ok(code);
    assert.equal(response.status, 400);
  });

  it('knows nobody of another tenant', async () => {
    const ana = await visitor();
    await ana.open();
    const other = await app.tenant();

    const { status, location } = await ana.agent.get(`${other.issuer}/account`);

    assert.equal(status, 303);
    assert.ok(location?.startsWith(`${other.issuer}/authorize?`));
  });

  it('knows nobody whose account was closed meanwhile, and fails at nothing', async () => {
    const ana = await visitor();
    await ana.open();

    await app.services.users.disable(tenant.actor, ana.user.id);

    const { status, location } = await ana.agent.get(ana.base);
    assert.equal(status, 303);
    assert.ok(location?.startsWith(`${tenant.issuer}/authorize?`));
  });

  it('says what needs attention', async () => {
    const ana = await visitor({ emailVerified: false, claims: { name: 'Ana <b>Lima</b>' } });

    const { body } = await ana.open();

    assert.ok(body.includes('has not been confirmed'));
    assert.ok(body.includes('Ana &lt;b&gt;Lima&lt;/b&gt;'));
  });

  it('speaks the language that the person saved', async () => {
    const ana = await visitor({ claims: { locale: 'ar' } });

    const { body } = await ana.open('/devices');

    assert.match(body, /<html lang="ar" dir="rtl">/);
    assert.ok(body.includes('الأجهزة'));
  });

  it('tells password managers where passwords are changed', async () => {
    const response = await fetch(`${app.url}/.well-known/change-password`, { redirect: 'manual' });

    assert.equal(response.status, 302);
    assert.equal(
      new URL(response.headers.get('location') ?? '', app.url).href,
      `${app.url}/account/security/password`,
    );
  });

  describe('changing the password', () => {
    const change = async (ana: Awaited<ReturnType<typeof visitor>>, fields: Record<string, string>) =>
      ana.submit(await ana.open('/security/password'), '/security/password', fields);

    it('needs the current one', async () => {
      const ana = await visitor();

      const missing = await change(ana, { password: NEW_PASSWORD });
      const wrong = await change(ana, { current: 'something else entirely', password: NEW_PASSWORD });

      assert.deepEqual([missing.status, wrong.status], [422, 403]);
      assert.match(wrong.body, /aria-invalid="true"/);
      const { ok } = await app.services.passwordSignIn.verify(
        { ...tenant.actor, type: 'anonymous' },
        { email: ana.email, password: GOOD_PASSWORD },
      );
      assert.equal(ok, true);
    });

    it('refuses a weak one and says why', async () => {
      const ana = await visitor();

      const { status, body } = await change(ana, { current: GOOD_PASSWORD, password: 'short' });

      assert.equal(status, 422);
      assert.match(body, /at least 15 characters/);
    });

    it('keeps this session, offers to end the others, and tells by mail', async () => {
      const ana = await visitor();
      const elsewhere = createUserAgent();
      const other = await visitorOf(app, tenant, { agent: elsewhere });
      await ana.open();
      // The same person in another browser.
      const second = { ...other, email: ana.email };
      const signedIn = await elsewhere.follow(await elsewhere.get(ana.base), tenant.issuer);
      const asked = await elsewhere.follow(
        await elsewhere.submit(signedIn, '/identifier', { username: second.email }),
        tenant.issuer,
      );
      await elsewhere.follow(
        await elsewhere.submit(asked, '/password', { password: GOOD_PASSWORD }),
        tenant.issuer,
      );

      const changed = await change(ana, { current: GOOD_PASSWORD, password: NEW_PASSWORD });
      const offered = changed.body.includes('Sign out everywhere else?');
      const stillThere = await elsewhere.get(ana.base);
      const ended = await ana.submit(changed, '/security/sign-out-others');

      assert.equal(changed.url, `${ana.base}/security?done=password`);
      assert.equal(offered, true);
      assert.equal(stillThere.status, 200);
      assert.equal(ended.url, `${ana.base}/security?done=others`);
      assert.equal((await elsewhere.get(ana.base)).status, 303);
      assert.equal((await ana.agent.get(ana.base)).status, 200);
    });

    it('is limited like any other guessing', async () => {
      const limited = await startTestApp({
        env: { GATEHOUSE_RATE_LIMITS: 'on', GATEHOUSE_RATE_LIMIT_FORMS: '1000' },
      });
      const ana = await visitorOf(limited, await limited.tenant());
      const page = await ana.open('/security/password');

      const statuses: number[] = [];
      for (let tries = 0; tries < 12; tries += 1) {
        const { status } = await ana.agent.submit(page, '/security/password', {
          current: `guess ${tries}`,
          password: NEW_PASSWORD,
        });
        statuses.push(status);
      }
      await limited.close();

      assert.equal(statuses.at(-1), 429, statuses.join(' '));
    });
  });

  describe('devices', () => {
    it('shows this one and the others, and signs one out', async () => {
      const ana = await visitor();
      const rp = await createRelyingParty(app, tenant, { firstParty: true });
      await ana.open('/devices');
      // Sessions of the same person in other browsers.
      const others = [createUserAgent(), createUserAgent()];
      for (const agent of others) {
        const form = await agent.follow(
          await agent.get(rp.authorizationUrl({ login_hint: ana.email })),
          tenant.issuer,
        );
        await agent.follow(await agent.submit(form, '/password', { password: GOOD_PASSWORD }), tenant.issuer);
      }
      const page = await ana.open('/devices');
      const forms = formsOf(page.body).filter(({ action }) => action.endsWith('/devices/sign-out'));

      const after = await ana.submit(page, '/devices/sign-out');
      const all = await ana.submit(after, '/devices/sign-out-others');

      assert.equal(forms.length, 2);
      assert.match(page.body, /This device/);
      assert.match(page.body, /Used for Test app/);
      assert.equal(after.url, `${ana.base}/devices?done=one`);
      assert.equal(all.url, `${ana.base}/devices?done=others`);
      assert.match(all.body, /signed in nowhere else/);
    });

    it('shows of very many the ones used last, and this one even if it is not among them', async () => {
      const ana = await visitor();
      await ana.open();
      await app.db.raw(
        `INSERT INTO user_sessions (id, tenant_id, user_id, session_uid, device_kind, last_seen_at, ends_at, expires_at)
         SELECT gen_random_uuid(), ?, ?, gen_random_uuid(), 'other', now() + make_interval(mins => n), 'infinity', 'infinity'
           FROM generate_series(1, 149) n`,
        [tenant.tenant.id, ana.user.id],
      );

      const page = await ana.open('/devices');
      const home = await ana.open();

      const forms = formsOf(page.body).filter(({ action }) => action.endsWith('/devices/sign-out'));
      assert.equal(forms.length, 99);
      assert.match(page.body, /This device/);
      assert.match(page.body, /And 50 more that were used longer ago/);
      assert.match(home.body, /signed in on 150 devices/);
    });

    it('answers 404 for a session of somebody else', async () => {
      const [ana, ben] = [await visitor(), await visitor()];
      await ben.open();
      const [session] = await app.services.sessions.list(tenant.actor, ben.user.id);
      const page = await ana.open('/security/password');

      const { status } = await ana.agent.post(`${ana.base}/devices/sign-out`, {
        csrf: csrfOf(page.body),
        session: session?.id ?? '',
      });

      assert.equal(status, 404);
      assert.equal((await ben.agent.get(ben.base)).status, 200);
    });
  });

  describe('connected apps', () => {
    it('says in words what an app may do, and takes all of it back, also offline access', async () => {
      const rp = await createRelyingParty(app, tenant, { name: 'Notes & more' });
      const agent = createUserAgent();
      const tokens = await tokensOf(rp, {
        agent,
        authorize: { scope: 'openid email offline_access', prompt: 'consent' },
      });
      const page = await agent.get(`${tenant.issuer}/account/apps`);

      const after = await agent.follow(await agent.submit(page, '/apps/remove', {}), tenant.issuer);

      assert.ok(page.body.includes('Notes &amp; more'));
      assert.ok(page.body.includes('Your email address'));
      assert.match(after.body, /No apps yet/);
      assert.equal(await isActive(rp, tokens.access_token), false);
      assert.equal((await rp.refresh(tokens.refresh_token)).body.error, 'invalid_grant');
      const consent = await app.db('consents').where({ user_id: rp.user.id, client_id: rp.clientId });
      assert.deepEqual(consent, []);
      const [event] = await app
        .db('events')
        .where({ tenant_id: tenant.tenant.id, type: 'consent.revoked', target_id: rp.clientId });
      assert.equal(event.actor_id, rp.user.id);
    });

    it('answers 404 for an app that has no access', async () => {
      const ana = await visitor();
      const rp = await createRelyingParty(app, tenant);
      await rp.signIn();
      const page = await ana.open('/security/password');

      const { status } = await ana.agent.post(`${ana.base}/apps/remove`, {
        csrf: csrfOf(page.body),
        client: rp.clientId,
      });

      assert.equal(status, 404);
      assert.equal((await app.db('consents').where({ user_id: rp.user.id })).length, 1);
    });
  });

  it('shows what happened page by page, and nothing of anybody else', async () => {
    const [ana, ben] = [await visitor(), await visitor()];
    await ben.open();
    await ana.open();
    for (let index = 0; index < 30; index += 1) {
      await app.db('events').insert({
        id: app.db.raw('gen_random_uuid()'),
        tenant_id: tenant.tenant.id,
        type: 'user.updated',
        actor_type: 'operator',
        target_type: 'user',
        target_id: ana.user.id,
        ip: '198.51.100.7',
      });
    }

    const first = await ana.open('/activity');
    const older = /href="([^"]*before=[^"]*)"/.exec(first.body)?.[1] ?? '';
    const second = await ana.agent.get(new URL(older, ana.base).href);
    const odd = await ana.agent.get(`${ana.base}/activity?before=made-up`);

    const count = (html: string) => html.match(/<time /g)?.length ?? 0;
    assert.equal(count(first.body), 25);
    assert.ok(count(second.body) >= 5);
    assert.equal(odd.status, 200);
    assert.ok(!first.body.includes('198.51.100.7'));
    assert.ok(first.body.includes('Not by you'));
  });
});
