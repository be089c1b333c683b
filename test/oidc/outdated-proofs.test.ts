import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { inOrderBehind, waitingBehind } from '../support/blocked.ts';
import { CODE_CHALLENGE, createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

const OTHER_PASSWORD = 'another correct horse battery';

/** Somebody proved who they are; before a session comes of it, all access of the person ends. */
describe('a proof of identity from before access ended', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  let agent: UserAgent;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  beforeEach(async () => {
    rp = await createRelyingParty(app, tenant, { firstParty: true });
    agent = createUserAgent();
  });
  after(() => app.close());

  const follow = (page: Page, by = agent) => by.follow(page, tenant.issuer);
  const isSignInPage = ({ status, body }: Page) =>
    status === 200 && /name="(username|account|password)"/.test(body);
  const hasCode = ({ body, location = '' }: Page) =>
    body.includes('name="code"') || location.includes('code=');
  const liveSessions = () =>
    app
      .db('oidc_models')
      .where({ tenant_id: tenant.tenant.id, model: 'Session', account_id: rp.user.id })
      .whereNull('dead_at');
  const theirRow = (trx: Knex.Transaction) => trx('users').where({ id: rp.user.id }).forUpdate();
  const givePassword = (page: Page) => agent.submit(page, '/password', { password: GOOD_PASSWORD });

  const push = async (params: Record<string, string> = {}) => {
    const { body } = await rp.call('/par', {
      client_id: rp.clientId,
      response_type: 'code',
      redirect_uri: REDIRECT_URI,
      scope: 'openid',
      login_hint: rp.user.email,
      code_challenge: CODE_CHALLENGE,
      code_challenge_method: 'S256',
      ...params,
    });
    return `${tenant.issuer}/authorize?${new URLSearchParams({ client_id: rp.clientId, request_uri: String(body['request_uri']) }).toString()}`;
  };
  const formPost = (params: Record<string, string> = {}) =>
    rp.authorizationUrl({ response_mode: 'form_post', login_hint: rp.user.email, ...params });
  /** Ways of asking whose answer to a good password is the way back to the authorization request. */
  const ASKS: Record<string, (params?: Record<string, string>) => Promise<string> | string> = {
    form_post: (params) => formPost(params),
    'a pushed request': push,
  };

  const toPassword = async (url: string) => follow(await agent.get(url));
  /** The sign-in has come to its end, and the browser does not take the way back yet. */
  const park = async (url: string) => {
    const answered = await givePassword(await toPassword(url));
    assert.match(answered.location ?? '', /\/authorize\/[\w-]+$/);
    return answered;
  };

  const person = () => ({ ...tenant.actor, type: 'user' as const, id: rp.user.id });
  const ENDS: Record<string, () => Promise<unknown>> = {
    'a new password': () => app.services.users.setPassword(tenant.actor, rp.user.id, OTHER_PASSWORD),
    'a new password that leaves sessions alone': () =>
      app.services.users.setPassword(tenant.actor, rp.user.id, OTHER_PASSWORD, { keepsAccess: true }),
    'a temporary password': () =>
      app.services.users.setPassword(tenant.actor, rp.user.id, OTHER_PASSWORD, { isTemporary: true }),
    async 'an account that is disabled and enabled again'() {
      await app.services.users.disable(tenant.actor, rp.user.id);
      await app.services.users.enable(tenant.actor, rp.user.id);
    },
    async 'a lock by an administrator that is lifted'() {
      await app.services.users.lock(tenant.actor, rp.user.id, { cause: 'administrator' });
      await app.services.users.unlock(tenant.actor, rp.user.id, { reason: 'administrator' });
    },
    'the end of all sessions': () => app.services.sessions.revokeAll(tenant.actor, rp.user.id),
    'the end of all other sessions': () =>
      app.services.sessions.revokeOthers(person(), rp.user.id, 'the one that asks'),
    'the request to delete the account': () =>
      app.services.accountDeletions.request(person(), { email: rp.user.email, locale: 'en' }),
  };

  for (const [mode, ask] of Object.entries(ASKS)) {
    it(`leads to the app as long as nothing has ended: ${mode}`, async () => {
      const parked = await park(await ask());

      assert.ok(hasCode(await follow(parked)));
      assert.equal((await liveSessions()).length, 1);
    });

    for (const [what, end] of Object.entries(ENDS)) {
      it(`is worth nothing after ${what}, and the person may prove it anew: ${mode}`, async () => {
        const parked = await park(await ask());

        await end();
        const page = await follow(parked);

        assert.ok(isSignInPage(page), `${page.status} ${page.location} ${page.body.slice(0, 500)}`);
        assert.equal((await liveSessions()).length, 0);
        const silent = await agent.get(rp.authorizationUrl({ prompt: 'none' }));
        assert.match(silent.location ?? '', /error=login_required/);
      });
    }

    it(`loses against an end under way: ${mode}`, async () => {
      const parked = await park(await ask());

      const [, page] = await inOrderBehind<[number, Page]>(app.db, theirRow, [
        () => app.services.sessions.revokeAll(tenant.actor, rp.user.id),
        () => follow(parked),
      ]);

      assert.ok(isSignInPage(page), `${page.status} ${page.location}`);
      assert.equal((await liveSessions()).length, 0);
    });

    it(`makes a session that the end finds, where it was first: ${mode}`, async () => {
      const parked = await park(await ask());

      const [page] = await inOrderBehind<[Page, number]>(app.db, theirRow, [
        () => agent.get(parked.location ?? ''),
        () => app.services.sessions.revokeAll(tenant.actor, rp.user.id),
      ]);

      assert.ok(hasCode(page), `${page.status} ${page.location}`);
      assert.equal((await liveSessions()).length, 0);
    });

    it(`is not renewed for the session that goes on, which stays as it is: ${mode}`, async () => {
      await rp.signIn(agent);
      const [{ session_uid: uid }] = await liveSessions();
      const parked = await park(await ask({ prompt: 'login' }));

      await app.services.sessions.revokeOthers(person(), rp.user.id, uid);
      const page = await follow(parked);

      assert.ok(isSignInPage(page), `${page.status} ${page.location}`);
      assert.ok(hasCode(await agent.get(rp.authorizationUrl({ prompt: 'none' }))));
      const answered = await follow(await givePassword(await toPassword(await ask({ prompt: 'login' }))));
      assert.ok(hasCode(answered), `${answered.status} ${answered.location}`);
    });

    it(`meets an end in front of the session it renews, and neither waits for the other: ${mode}`, async () => {
      await rp.signIn(agent);
      const parked = await park(await ask({ prompt: 'login' }));
      const theirSession = (trx: Knex.Transaction) =>
        trx('oidc_models')
          .where({ tenant_id: tenant.tenant.id, model: 'Session', account_id: rp.user.id })
          .forUpdate();

      const [page] = await inOrderBehind<[Page, number]>(app.db, theirSession, [
        () => agent.get(parked.location ?? ''),
        () => app.services.sessions.revokeAll(tenant.actor, rp.user.id),
      ]);

      assert.ok(hasCode(page), `${page.status} ${page.location}`);
      assert.equal((await liveSessions()).length, 0);
    });

    it(`of a version that knew of none counts until access ends for the first time: ${mode}`, async () => {
      const { provider } = (await app.registry.get(tenant.tenant.slug)) ?? assert.fail('no provider');
      const [first, second] = [await park(await ask()), await park(await ask())];
      for (const { location = '' } of [first, second]) {
        const stored = await provider.Interaction.find(location.slice(location.lastIndexOf('/') + 1));
        assert.ok(stored?.result?.login);
        delete stored.result.login['accessVersion'];
        await stored.persist();
      }

      const before = await follow(first);
      await app.services.sessions.revokeAll(tenant.actor, rp.user.id);
      const after = await follow(second);

      assert.ok(hasCode(before));
      assert.ok(isSignInPage(after), `${after.status} ${after.location}`);
    });
  }

  it('is worth nothing where the password changes while the sign-in is under way', async () => {
    const page = await toPassword(rp.authorizationUrl({ login_hint: rp.user.email }));

    const [, answered] = await inOrderBehind<[void, Page]>(app.db, theirRow, [
      () => app.services.users.setPassword(tenant.actor, rp.user.id, OTHER_PASSWORD),
      () => givePassword(page),
    ]);

    assert.ok(isSignInPage(await follow(answered)), `${answered.status} ${answered.location}`);
    assert.equal((await liveSessions()).length, 0);
    const events = app.db('events').where({ tenant_id: tenant.tenant.id, target_id: rp.user.id });
    assert.equal((await events.where({ type: 'user.login' })).length, 0);
  });

  it('calls off no deletion of the account that was requested after it', async () => {
    const parked = await park(formPost());
    await app.services.accountDeletions.request(person(), { email: rp.user.email, locale: 'en' });
    await follow(parked);
    await app
      .db('account_deletions')
      .where({ user_id: rp.user.id })
      .update({ due_at: new Date(0) });

    while (await app.services.accountDeletions.carryOutNext());

    const [user] = await app.db('users').where({ id: rp.user.id });
    assert.equal(user.status, 'deleted');
  });

  it('calls off no deletion where it became a session while the request was under way', async () => {
    const parked = await park(formPost());
    const trx = await app.db.transaction();
    await trx('users').where({ id: rp.user.id }).forShare();

    const requesting = app.services.accountDeletions.request(person(), {
      email: rp.user.email,
      locale: 'en',
    });
    while ((await waitingBehind(app.db, trx)) === 0);
    const page = await agent.get(parked.location ?? '');
    await trx.commit();
    await requesting;

    assert.ok(hasCode(page), `${page.status} ${page.location}`);
    const deletion = await app.db('account_deletions').where({ user_id: rp.user.id }).first();
    const [session] = await app.db('user_sessions').where({ user_id: rp.user.id });
    assert.ok(session.ended_at !== null && session.authenticated_at < deletion.created_at);
  });

  it('counts in its own tenant and for its own person alone', async () => {
    const [other, elsewhere] = [await createRelyingParty(app, tenant), await app.tenant()];
    const stranger = await createRelyingParty(app, elsewhere);
    const parked = await park(formPost());

    await app.services.sessions.revokeAll(tenant.actor, other.user.id);
    await app.services.sessions.revokeAll(elsewhere.actor, stranger.user.id);
    await app.services.sessions.revokeAll(elsewhere.actor, rp.user.id);

    assert.ok(hasCode(await follow(parked)));
  });
});
