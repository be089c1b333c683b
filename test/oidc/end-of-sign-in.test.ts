import assert from 'node:assert/strict';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

describe('the answer to a good password', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  const firstParty = () => createRelyingParty(app, tenant, { firstParty: true });
  const toPassword = async (
    rp: RelyingParty,
    agent: UserAgent,
    params: Record<string, string> = {},
  ): Promise<Page> => {
    const url = rp.authorizationUrl({ login_hint: rp.user.email, ...params });
    return agent.follow(await agent.get(url), tenant.issuer);
  };
  const givePassword = (agent: UserAgent, page: Page) =>
    agent.submit(page, '/password', { password: GOOD_PASSWORD });
  const paramsOf = ({ location = '' }: Page) => Object.fromEntries(new URL(location).searchParams);
  const eventsOf = (rp: RelyingParty, type: string) =>
    app.db('events').where({ tenant_id: tenant.tenant.id, type, target_id: rp.user.id });

  for (const mode of [undefined, 'query', 'fragment']) {
    it(`leads to the app with a code, and keeps the person signed in: ${mode ?? 'no'} response mode`, async () => {
      const rp = await firstParty();
      const agent = createUserAgent();
      const page = await toPassword(rp, agent, mode === undefined ? {} : { response_mode: mode });

      const answered = await givePassword(agent, page);

      assert.equal(answered.status, 303);
      assert.ok(answered.location?.startsWith(REDIRECT_URI), answered.location);
      const { code = '', state } = paramsOf({
        ...answered,
        location: (answered.location ?? '').replace('#', '?'),
      });
      assert.equal(state, 'a-state');
      assert.equal((await rp.redeem(code)).status, 200);
      assert.ok(paramsOf(await agent.get(rp.authorizationUrl({ prompt: 'none' })))['code']);
      assert.equal((await eventsOf(rp, 'user.login')).length, 1);
    });
  }

  it('ends the interaction and takes back the cookie that would lead there again', async () => {
    const rp = await firstParty();
    const agent = createUserAgent();
    const page = await toPassword(rp, agent);
    const way = page.url.replace(/\/interaction\/([\w-]+).*/, '/authorize/$1');

    await givePassword(agent, page);
    const again = await agent.get(way);

    assert.ok(!agent.cookies.some(({ path }) => way.endsWith(path)));
    assert.ok(!again.location?.startsWith(REDIRECT_URI), again.location);
  });

  it('leads to the consent, where one is needed', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();

    const answered = await givePassword(agent, await toPassword(rp, agent));
    const consent = await agent.follow(answered, tenant.issuer);
    const allowed = await agent.follow(
      await agent.submit(consent, '/consent', { decision: 'allow' }),
      tenant.issuer,
    );

    assert.match(answered.location ?? '', /\/interaction\/[\w-]+$/);
    assert.ok(paramsOf(allowed)['code']);
  });

  it('leads back to the authorization request, where the answer is a page: form_post', async () => {
    const rp = await firstParty();
    const agent = createUserAgent();

    const answered = await givePassword(agent, await toPassword(rp, agent, { response_mode: 'form_post' }));
    const page = await agent.follow(answered, tenant.issuer);

    assert.match(answered.location ?? '', /\/authorize\/[\w-]+$/);
    assert.match(page.body, /name="code"/);
  });

  it('leads back to the authorization request, where another account has to leave first', async () => {
    const [first, second] = [await firstParty(), await firstParty()];
    const agent = createUserAgent();
    await first.signIn(agent);
    const chooser = await agent.follow(
      await agent.get(second.authorizationUrl({ prompt: 'select_account' })),
      tenant.issuer,
    );
    const typed = await agent.post(`${chooser.url.replace(/\/accounts$/, '')}/identifier`, {
      csrf: /name="csrf" value="([^"]+)"/.exec(chooser.body)?.[1] ?? '',
      username: second.user.email,
    });

    const answered = await givePassword(agent, await agent.follow(typed, tenant.issuer));
    const page = await agent.follow(answered, tenant.issuer);

    assert.match(answered.location ?? '', /\/authorize\/[\w-]+$/);
    assert.match(page.body, /name="logout"/);
    assert.equal((await eventsOf(second, 'user.login')).length, 1);
  });

  /** A browser drops what the answer to the first press brings. */
  const press = async (agent: UserAgent, page: Page) => {
    const browser = createUserAgent();
    browser.cookies.push(...agent.cookies);
    return { browser, answered: await givePassword(browser, page) };
  };
  const pressManyTimes = (agent: UserAgent, page: Page) =>
    Promise.all(Array.from({ length: 4 }, () => press(agent, page)));

  it('counts when it is given twice at once: the browser follows either answer to the app', async () => {
    const rp = await firstParty();
    const agent = createUserAgent();
    const page = await toPassword(rp, agent);

    const presses = await pressManyTimes(agent, page);
    const arrivals = await Promise.all(
      presses.map(({ browser, answered }) => browser.follow(answered, tenant.issuer)),
    );

    const codes = arrivals.map((arrival) => paramsOf(arrival)['code'] ?? '');
    const redeemed = await Promise.all(codes.map((code) => rp.redeem(code)));
    assert.deepEqual(
      redeemed.map(({ status }) => status),
      [200, 200, 200, 200],
    );
    assert.equal(new Set(codes).size, 4);
    const open = app.db('oidc_models').where({ tenant_id: tenant.tenant.id, model: 'Interaction' });
    assert.equal((await open.where({ account_id: rp.user.id }).whereNull('dead_at')).length, 0);
  });

  describe('when it is given again after the answer to the first, which the browser has dropped,', () => {
    const pressAgain = async (
      rp: RelyingParty,
      { password = GOOD_PASSWORD, pauseSeconds = 0 } = {},
    ): Promise<Page> => {
      const agent = createUserAgent();
      const page = await toPassword(rp, agent);
      const [{ browser, answered }, second] = [await press(agent, page), createUserAgent()];
      second.cookies.push(...agent.cookies);
      assert.ok(paramsOf(await browser.follow(answered, tenant.issuer))['code']);
      await app
        .db('oidc_models')
        .where({ tenant_id: tenant.tenant.id, model: 'Interaction' })
        .whereNotNull('dead_at')
        .update({ dead_at: app.db.raw('dead_at - make_interval(secs => ?)', [pauseSeconds]) });
      return second.follow(await second.submit(page, '/password', { password }), tenant.issuer);
    };
    const isSignIn = ({ status, body }: Page) => status === 200 && /name="(username|password)"/.test(body);

    it('leads to the app as well', async () => {
      const rp = await firstParty();

      const arrival = await pressAgain(rp);

      assert.equal((await rp.redeem(paramsOf(arrival)['code'] ?? '')).status, 200);
      assert.equal((await eventsOf(rp, 'user.login')).length, 2);
    });

    it('leads to another sign-in if that was long ago', async () => {
      const page = await pressAgain(await firstParty(), { pauseSeconds: 10 });

      assert.ok(isSignIn(page), `${page.status} ${page.location}`);
    });

    it('leads to another sign-in if it is wrong', async () => {
      const rp = await firstParty();

      const page = await pressAgain(rp, { password: 'not this one at all' });

      assert.ok(isSignIn(page), `${page.status} ${page.location}`);
      assert.equal((await eventsOf(rp, 'user.login')).length, 1);
      assert.equal((await eventsOf(rp, 'user.login_failed')).length, 1);
    });
  });

  it('counts when who is signed in gives it twice at once, whichever answer the browser follows', async () => {
    const rp = await firstParty();
    const agent = createUserAgent();
    await rp.signIn(agent);
    const page = await toPassword(rp, agent, { prompt: 'login' });

    const presses = await pressManyTimes(agent, page);
    const [followed] = presses.toReversed();
    const arrival = await followed?.browser.follow(followed.answered, tenant.issuer);

    assert.ok(presses.every(({ answered }) => /\/authorize\/[\w-]+$/.test(answered.location ?? '')));
    assert.ok(arrival && paramsOf(arrival)['code'], arrival?.body);
  });

  it('leads nobody to the app whose account was disabled while the password was checked', async () => {
    const rp = await firstParty();
    const agent = createUserAgent();
    const page = await toPassword(rp, agent);
    const trx = await app.db.transaction();
    await trx('users').where({ id: rp.user.id }).update({ status: 'disabled' });

    const answering = givePassword(agent, page);
    for (let waiting = 0; waiting === 0; ) {
      const { rows } = await app.db.raw(
        "SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%guard_0%'",
      );
      waiting = rows[0].waiting;
    }
    await trx.commit();
    const answered = await answering;

    assert.equal(answered.status, 403);
    assert.equal((await eventsOf(rp, 'user.login')).length, 0);
    const silent = await agent.get(rp.authorizationUrl({ prompt: 'none' }));
    assert.equal(paramsOf(silent)['error'], 'login_required');
  });
});
