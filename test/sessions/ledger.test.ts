import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { sessionStore } from '../../src/sessions/session-store.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { signOut } from '../support/sign-out.ts';
import { isActive, tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { UserAgent } from '../support/user-agent.ts';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0';

describe('the ledger of sessions', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  const browser = (userAgent: string) =>
    createUserAgent((url, init) => {
      const headers = new Headers(init.headers);
      headers.set('user-agent', userAgent);
      return fetch(url, { ...init, headers });
    });
  const rowsOf = ({ user }: RelyingParty) =>
    app.db('user_sessions').where({ tenant_id: tenant.tenant.id, user_id: user.id }).orderBy('id');
  const listOf = (rp: RelyingParty) => app.services.sessions.list(tenant.actor, rp.user.id);
  const isSignedIn = async (rp: RelyingParty, agent: UserAgent) => {
    const { location = '' } = await agent.get(rp.authorizationUrl({ prompt: 'none' }));
    return new URL(location).searchParams.has('code');
  };

  it('has an entry for each sign-in: device, place, methods, apps, times', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const other = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = browser(FIREFOX);
    const before = Date.now();

    await rp.signIn(agent);
    await agent.get(other.authorizationUrl());

    const [session, ...more] = await listOf(rp);
    assert.deepEqual(more, []);
    assert.ok(session);
    assert.deepEqual(session.device, { browser: 'Firefox', os: 'Linux', kind: 'desktop' });
    assert.equal(session.ip, '127.0.0.1');
    assert.deepEqual(session.methods, ['pwd']);
    assert.deepEqual(session.clientIds.toSorted(), [rp.clientId, other.clientId].toSorted());
    for (const time of [session.createdAt, session.authenticatedAt, session.lastSeenAt])
      assert.ok(Math.abs(time.getTime() - before) < 20_000);
    const fourteenDays = 14 * 86_400_000;
    assert.ok(Math.abs(session.endsAt.getTime() - before - fourteenDays) < 20_000);
  });

  it('has no entry for who only looks at the sign-in page', async () => {
    const rp = await createRelyingParty(app, tenant);

    await createUserAgent().get(rp.authorizationUrl());

    assert.deepEqual(await rowsOf(rp), []);
  });

  for (const userAgent of ['', 'x', '\u00ff'.repeat(600), `Mozilla/5.0 (${'('.repeat(2000)}`]) {
    it(`takes a browser that calls itself ${JSON.stringify(userAgent.slice(0, 20))}`, async () => {
      const rp = await createRelyingParty(app, tenant, { firstParty: true });

      await rp.signIn(browser(userAgent));

      assert.equal((await listOf(rp)).length, 1);
    });
  }

  it('writes nothing for requests that follow closely, and when it was seen once some minutes have passed', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    await rp.signIn(agent);
    const [first] = await rowsOf(rp);
    await agent.get(rp.authorizationUrl());
    const [unchanged] = await rowsOf(rp);
    // As after six minutes.
    await app.db.raw(
      `UPDATE oidc_models SET payload = jsonb_set(payload, '{exp}', to_jsonb((payload->>'exp')::int - 360))
        WHERE tenant_id = ? AND model = 'Session' AND account_id = ?`,
      [tenant.tenant.id, rp.user.id],
    );

    await agent.get(rp.authorizationUrl());

    const [seen] = await rowsOf(rp);
    assert.deepEqual(unchanged, first);
    assert.ok(seen.last_seen_at > first.last_seen_at);
    assert.deepEqual(seen.authenticated_at, first.authenticated_at);
    assert.equal((await rowsOf(rp)).length, 1);
  });

  it('notes another proof of identity, and keeps the entry', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    await rp.signIn(agent);
    const [first] = await rowsOf(rp);
    await app
      .db('user_sessions')
      .where({ id: first.id })
      .update({ login_ts: 1000, authenticated_at: new Date(0) });

    await rp.signIn(agent, { prompt: 'login' });

    const [after, ...more] = await rowsOf(rp);
    assert.deepEqual(more, []);
    assert.equal(after.id, first.id);
    assert.ok(after.authenticated_at >= first.authenticated_at);
  });

  it('ends the entry with the sign-out', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    await rp.signIn(agent);

    await signOut(agent, tenant.issuer);

    const [row] = await rowsOf(rp);
    assert.equal(row.end_reason, 'signed_out');
    assert.deepEqual(await listOf(rp), []);
  });

  it('ends the entries of who is disabled', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    await rp.signIn();
    await rp.signIn();

    await app.services.users.disable(tenant.actor, rp.user.id);

    const rows = await rowsOf(rp);
    assert.deepEqual(
      rows.map((row) => row.end_reason),
      ['access_ended', 'access_ended'],
    );
  });

  it('shows nobody the entries of another tenant', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    await rp.signIn();
    const other = await app.tenant();

    assert.deepEqual(await app.services.sessions.list(other.actor, rp.user.id), []);
    assert.equal(await sessionStore(app.db, other.tenant.id).lastSeen(rp.user.id), undefined);
  });

  describe('limits', () => {
    /** Turns the clock of one person's sessions, which is the database's. */
    const age = ({ user }: RelyingParty, seconds: number) =>
      Promise.all([
        app
          .db('oidc_models')
          .where({ tenant_id: tenant.tenant.id, model: 'Session', account_id: user.id })
          .update({ expires_at: app.db.raw('expires_at - make_interval(secs => ?)', [seconds]) }),
        app
          .db('user_sessions')
          .where({ tenant_id: tenant.tenant.id, user_id: user.id })
          .update({
            ends_at: app.db.raw('ends_at - make_interval(secs => ?)', [seconds]),
            authenticated_at: app.db.raw('authenticated_at - make_interval(secs => ?)', [seconds]),
          }),
      ]);

    it('end a session that is not used, with its refresh and access tokens', async () => {
      const rp = await createRelyingParty(app, tenant, { firstParty: true });
      const agent = createUserAgent();
      const tokens = await tokensOf(rp, { agent });
      await age(rp, 14 * 86_400 - 60);
      const before = await isActive(rp, tokens.access_token);

      await age(rp, 61);

      assert.equal(before, true);
      assert.equal(await isSignedIn(rp, agent), false);
      assert.equal(await isActive(rp, tokens.access_token), false);
      assert.equal((await rp.refresh(tokens.refresh_token)).body.error, 'invalid_grant');
      assert.deepEqual(await listOf(rp), []);
    });

    it('of a tenant of its own: idle and absolute, the absolute one whatever the use', async () => {
      const strict = await app.tenant();
      await app.services.tenants.update(strict.actor, strict.tenant.slug, {
        settings: { sessionIdleSeconds: 3600, sessionAbsoluteSeconds: 5400 },
      });
      await app.registry.refresh();
      const rp = await createRelyingParty(app, strict, { firstParty: true });
      const agent = createUserAgent();
      await rp.signIn(agent);
      const [row] = await app.db('user_sessions').where({ user_id: rp.user.id });
      const idleFor = (row.ends_at.getTime() - row.created_at.getTime()) / 1000;

      // Seen again after 50 minutes: 40 of the 90 are left, less than the idle hour.
      await app
        .db('user_sessions')
        .where({ id: row.id })
        .update({ authenticated_at: app.db.raw("authenticated_at - interval '50 minutes'") });
      await app.db.raw(
        `UPDATE oidc_models SET payload = jsonb_set(payload, '{exp}', to_jsonb((payload->>'exp')::int - 3000))
          WHERE tenant_id = ? AND model = 'Session'`,
        [strict.tenant.id],
      );
      await agent.get(rp.authorizationUrl());

      const [after] = await app.db('user_sessions').where({ user_id: rp.user.id });
      const [session] = await app.db('oidc_models').where({ tenant_id: strict.tenant.id, model: 'Session' });
      const left = (after.ends_at.getTime() - after.last_seen_at.getTime()) / 1000;
      assert.equal(Math.round(idleFor), 3600);
      assert.equal(Math.round(left / 60), 40);
      assert.deepEqual(session.expires_at, after.ends_at);
    });
  });

  it('tells nobody who reads a token more than that it ends with a session', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    await app.services.resources.create(tenant.actor, {
      identifier: 'https://api.example/ledger',
      name: 'API',
      scopes: [{ name: 'read', description: '' }],
    });
    const tokens = await tokensOf(rp, {
      authorize: { scope: 'openid read', resource: 'https://api.example/ledger' },
    });

    const [row] = await rowsOf(rp);
    const claims = decodeJwt(tokens.access_token);
    assert.equal(claims['session_bound'], true);
    assert.ok(!JSON.stringify(claims).includes(row.session_uid));
  });
});
