import assert from 'node:assert/strict';
import { sha256 } from '../../src/lib/ids.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent, formsOf } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

describe('the way through a sign-in', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    rp = await createRelyingParty(app, tenant);
  });
  after(() => app.close());

  const start = async (params: Record<string, string> = {}) => {
    const agent = createUserAgent();
    return { agent, page: await agent.follow(await agent.get(rp.authorizationUrl(params)), tenant.issuer) };
  };
  const toPassword = async (params: Record<string, string> = {}) => {
    const { agent, page } = await start(params);
    const submitted = await agent.submit(page, '/identifier', { username: rp.user.email });
    return { agent, page: await agent.follow(submitted, tenant.issuer) };
  };
  const uidPath = ({ url }: Page) => /^.*\/interaction\/[\w-]+/.exec(url)?.[0] ?? '';
  const csrfOf = ({ body }: Page) => formsOf(body)[0]?.hidden['csrf'] ?? '';
  const isSignedIn = async (agent: UserAgent) => {
    const { location = '' } = await agent.get(rp.authorizationUrl({ prompt: 'none' }));
    return new URL(location).searchParams.get('error') !== 'login_required';
  };

  for (const [forged, csrf] of Object.entries<(of: Page) => Promise<string> | string>({
    'no token': () => '',
    'a made-up token': () => 'abc.def',
    'the token of another sign-in': async () => csrfOf((await start()).page),
    'a shortened token': (of) => csrfOf(of).slice(0, -1),
    'a lengthened token': (of) => `${csrfOf(of)}a`,
  })) {
    for (const step of ['identifier', 'password', 'accounts', 'accounts/remove', 'consent']) {
      it(`takes no answer with ${forged}: ${step}`, async () => {
        const { agent, page } = await toPassword();

        const { status, location } = await agent.post(`${uidPath(page)}/${step}`, {
          csrf: await csrf(page),
          username: rp.user.email,
          password: GOOD_PASSWORD,
          account: rp.user.id,
          decision: 'allow',
        });

        assert.deepEqual([status, location], [403, undefined]);
        assert.equal(await isSignedIn(agent), false);
      });
    }
  }

  it('ends by the clock of the database, and then starts over', async () => {
    const { agent, page } = await toPassword();
    await app.db.raw(
      `UPDATE oidc_models SET expires_at = now() - interval '1 second' WHERE tenant_id = ? AND model = 'Interaction' AND id_hash = ?`,
      [tenant.tenant.id, sha256(uidPath(page).split('/').at(-1) ?? '')],
    );

    const late = await agent.follow(
      await agent.submit(page, '/password', { password: GOOD_PASSWORD }),
      tenant.issuer,
    );

    assert.equal(await isSignedIn(agent), false);
    assert.notEqual(uidPath(late), uidPath(page));
    assert.match(late.body, /name="username"/);
  });

  for (const headers of [
    { origin: 'https://evil.example' },
    { referer: 'https://evil.example/form' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[]) {
    it(`takes no answer from another site: ${JSON.stringify(headers)}`, async () => {
      const { agent, page } = await toPassword();

      const { status } = await agent.post(
        `${uidPath(page)}/password`,
        { csrf: csrfOf(page), password: GOOD_PASSWORD },
        headers,
      );

      assert.equal(status, 403);
      assert.equal(await isSignedIn(agent), false);
    });
  }

  it('is followed by the browser that began it', async () => {
    const { page } = await toPassword();
    const stranger = createUserAgent();

    const seen = await stranger.get(page.url);
    const answered = await stranger.post(`${uidPath(page)}/password`, {
      csrf: csrfOf(page),
      password: GOOD_PASSWORD,
    });

    assert.ok(!seen.body.includes(rp.user.email));
    assert.ok(![seen, answered].some(({ location }) => location?.includes('code=')));
    assert.equal(await isSignedIn(stranger), false);
  });

  it('cannot be finished with another browser’s cookies for the way back alone', async () => {
    const { agent, page } = await toPassword({ response_mode: 'form_post' });
    const done = await agent.submit(page, '/password', { password: GOOD_PASSWORD });
    const stranger = createUserAgent();

    const { location, body } = await stranger.get(done.location ?? '');

    assert.match(done.location ?? '', /\/authorize\/[\w-]+$/);
    assert.ok(!location?.includes('code='));
    assert.ok(!body.includes('name="code"'));
  });

  it('has no step that can be left out', async () => {
    const { agent, page } = await start();
    const csrf = csrfOf(page);

    const consent = await agent.post(`${uidPath(page)}/consent`, { csrf, decision: 'allow' });
    const password = await agent.post(`${uidPath(page)}/password`, { csrf, password: GOOD_PASSWORD });
    const resumed = await agent.get(uidPath(page).replace('/interaction/', '/authorize/'));

    assert.deepEqual([consent.status, password.status], [409, 409]);
    assert.ok(!resumed.location?.includes('code='));
    assert.equal(await isSignedIn(agent), false);
  });

  it('takes the person from what was answered, not from what is sent along', async () => {
    const victim = await createRelyingParty(app, tenant);
    const { agent, page } = await toPassword();

    await agent.submit(page, '/password', {
      password: GOOD_PASSWORD,
      username: victim.user.email,
      email: victim.user.email,
      accountId: victim.user.id,
      userId: victim.user.id,
    });
    const { rows } = await app.db.raw(
      `SELECT target_id FROM events WHERE tenant_id = ? AND type = 'user.login' ORDER BY id DESC LIMIT 1`,
      [tenant.tenant.id],
    );

    assert.equal(rows[0].target_id, rp.user.id);
  });

  it('ends a session that somebody planted in the browser', async () => {
    const agent = createUserAgent();
    await rp.signIn(agent);
    const planted = agent.cookies
      .filter(({ name }) => name.includes('session'))
      .map((cookie) => ({ ...cookie }));
    const other = await createRelyingParty(app, tenant);
    const victim = createUserAgent();
    victim.cookies.push(...planted.map((cookie) => ({ ...cookie })));

    const chooser = await victim.follow(
      await victim.get(other.authorizationUrl({ prompt: 'login' })),
      tenant.issuer,
    );
    const typed = await victim.submit(await victim.get(`${uidPath(chooser)}/identifier`), '/identifier', {
      username: other.user.email,
    });
    const entered = await victim.submit(await victim.follow(typed, tenant.issuer), '/password', {
      password: GOOD_PASSWORD,
    });
    const changing = await victim.follow(entered, tenant.issuer);
    await victim.submit(changing, '/logout/confirm');
    const attacker = createUserAgent();
    attacker.cookies.push(...planted);

    assert.equal(await isSignedIn(attacker), false);
  });

  it('gives the session a new id when somebody signs in again, and the old one is worth nothing', async () => {
    const agent = createUserAgent();
    await rp.signIn(agent);
    const old = agent.cookies.map((cookie) => ({ ...cookie }));
    const holder = createUserAgent();
    holder.cookies.push(...old);

    await rp.signIn(agent, { prompt: 'login' });

    const names = old.map(({ name }) => name).filter((name) => name.includes('session'));
    for (const name of names)
      assert.notEqual(
        agent.cookies.find((cookie) => cookie.name === name)?.value,
        old.find((cookie) => cookie.name === name)?.value,
      );
    assert.ok(names.length > 0);
    assert.equal(await isSignedIn(holder), false);
    assert.equal(await isSignedIn(agent), true);
  });

  it('stores nothing for a session cookie that it did not make', async () => {
    const [name = ''] = (await start()).agent.cookies.map((cookie) => cookie.name);
    const count = async () =>
      Number(
        (await app.db('oidc_models').where({ tenant_id: tenant.tenant.id, model: 'Session' }).count())[0]?.[
          'count'
        ],
      );
    const before = await count();

    for (const value of ['made-up', 'a'.repeat(4000), '..', '%00', '"'])
      await createUserAgent().get(rp.authorizationUrl({ prompt: 'none' }), {
        cookie: `gatehouse_session_${tenant.tenant.slug}=${value}; gatehouse_session_${tenant.tenant.slug}.sig=x; ${name}=${value}`,
      });

    assert.equal(await count(), before);
  });

  it('sets cookies that scripts and other sites do not see', async () => {
    const agent = createUserAgent();
    const seen: string[] = [];
    let page = await agent.get(rp.authorizationUrl());
    for (let step = 0; step < 8 && page.location?.startsWith(tenant.issuer); step += 1) {
      seen.push(...page.headers.getSetCookie());
      page = await agent.get(page.location);
      seen.push(...page.headers.getSetCookie());
    }

    assert.ok(seen.length > 0);
    for (const cookie of seen) {
      assert.match(cookie, /; httponly/i, cookie);
      assert.match(cookie, /; samesite=lax/i, cookie);
      assert.doesNotMatch(cookie, /domain=/i);
    }
  });

  it('has the prefixes of the browser’s own protection over https', async () => {
    const secure = await startTestApp({ env: { PUBLIC_URL: 'https://id.example' } });
    const { slug } = tenant.tenant;

    const response = await fetch(
      `http://127.0.0.1:${secure.config.port}/t/${slug}/authorize?${new URL(rp.authorizationUrl()).searchParams.toString()}`,
      { redirect: 'manual' },
    );
    await secure.close();

    const cookies = response.headers.getSetCookie();
    assert.ok(cookies.length > 0);
    for (const cookie of cookies) {
      assert.match(cookie, /^__(Host|Secure)-gatehouse_/);
      assert.match(cookie, /; secure/i);
    }
  });
});
