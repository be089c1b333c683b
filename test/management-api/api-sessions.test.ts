import assert from 'node:assert/strict';
import { decodeProtectedHeader } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { createApiWorld } from './api-world.ts';
import type { ApiWorld } from './api-world.ts';

const DAY = 86_400;
const PHONE =
  'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36';

describe('API sessions', () => {
  let app: TestApp;
  let world: ApiWorld;

  before(async () => {
    app = await startTestApp();
    world = await createApiWorld(app);
  });

  after(async () => {
    await app.close();
  });

  const refresh = (token: string, own = world) =>
    own.call('POST', '/auth/refresh', { body: { refresh_token: token } });
  const entryOf = (userId: string) => app.db('user_sessions').where({ user_id: userId }).first();
  const rowOf = (userId: string) =>
    app.db('oidc_models').where({ model: 'Session', account_id: userId }).first();
  const secondsUntil = (time: Date) => (time.getTime() - Date.now()) / 1000;
  const near = (actual: number, expected: number) =>
    assert.ok(Math.abs(actual - expected) < 60, `${actual} is not about ${expected}`);

  /** As if the session were older by so much; its tokens are not. */
  async function age(userId: string, seconds: number): Promise<void> {
    const by = app.db.raw('make_interval(secs => ?)', [seconds]);
    await app
      .db('user_sessions')
      .where({ user_id: userId })
      .update({
        created_at: app.db.raw('created_at - ?', [by]),
        authenticated_at: app.db.raw('authenticated_at - ?', [by]),
        last_seen_at: app.db.raw('last_seen_at - ?', [by]),
        ends_at: app.db.raw('ends_at - ?', [by]),
      });
    await app
      .db('oidc_models')
      .where({ model: 'Session', account_id: userId })
      .update({
        expires_at: app.db.raw('expires_at - ?', [by]),
        payload: app.db.raw(`jsonb_set(payload, '{exp}', to_jsonb((payload->>'exp')::bigint - ?::bigint))`, [
          seconds,
        ]),
      });
  }

  async function worldWith(settings: object): Promise<ApiWorld> {
    const own = await createApiWorld(app);
    await app.services.tenants.update(own.actor, own.tenant.slug, { settings });
    await app.registry.refresh();
    return own;
  }

  it('are in the ledger: device, place, methods, app, times', async () => {
    const { id, email } = await world.person();

    const { body } = await world.call('POST', '/auth/login', {
      body: { email, password: 'correct horse battery staple' },
      headers: { 'user-agent': PHONE },
    });

    const { body: list } = await world.call('GET', '/auth/sessions', { token: body.access_token });
    const [session] = list.sessions;
    assert.equal(session.is_current, true);
    assert.deepEqual(session.device, { browser: 'Chrome', os: 'Android', kind: 'mobile' });
    assert.equal(session.ip, '127.0.0.1');
    assert.deepEqual(session.methods, ['pwd']);
    assert.deepEqual(session.client_ids, [world.clientId]);
    for (const time of [session.created_at, session.last_seen_at, session.authenticated_at])
      near(secondsUntil(new Date(time)), 0);
    near(secondsUntil(new Date(session.ends_at)), 14 * DAY);
    assert.equal((await app.services.sessions.list(world.actor, id)).length, 2);
  });

  it('go on for as long as somebody refreshes, and no longer than the absolute limit', async () => {
    const { id, refreshToken } = await world.person();
    let token = refreshToken;

    // Within the idle limit each time, beyond it together.
    for (const { later, left } of [
      { later: 10, left: 14 },
      { later: 10, left: 10 },
      { later: 8, left: 2 },
    ]) {
      await age(id, later * DAY);
      const { status, body } = await refresh(token);
      assert.equal(status, 200, JSON.stringify(body));
      token = body.refresh_token;
      const [entry, row] = [await entryOf(id), await rowOf(id)];
      near(secondsUntil(entry.last_seen_at), 0);
      near(secondsUntil(entry.ends_at), left * DAY);
      assert.deepEqual(row.expires_at, entry.ends_at);
    }
    await age(id, 2 * DAY);
    const { status, body } = await refresh(token);

    assert.deepEqual([status, body.code], [401, 'auth.invalid_grant']);
  });

  it('end when nobody refreshes for as long as the tenant says', async () => {
    const own = await worldWith({ sessionIdleSeconds: 3600, sessionAbsoluteSeconds: 5400 });
    const { id, refreshToken } = await own.person();
    const idle = await own.person();
    near(secondsUntil((await entryOf(id)).ends_at), 3600);

    await age(id, 3000);
    const { status, body } = await refresh(refreshToken, own);
    await age(idle.id, 3601);
    const late = await refresh(idle.refreshToken, own);

    assert.equal(status, 200);
    near(secondsUntil((await entryOf(id)).ends_at), 2400);
    assert.equal(late.status, 401);
    await age(id, 2401);
    assert.equal((await refresh(body.refresh_token, own)).status, 401);
  });

  it('are written again only after some minutes, by what the request says of place and device', async () => {
    const { id, refreshToken } = await world.person();
    const first = await entryOf(id);

    const { body } = await refresh(refreshToken);
    const unchanged = await entryOf(id);
    await age(id, 360);
    await world.call('POST', '/auth/refresh', {
      body: { refresh_token: body.refresh_token },
      headers: { 'user-agent': PHONE },
    });
    const seen = await entryOf(id);

    assert.deepEqual(unchanged, first);
    near(secondsUntil(seen.last_seen_at), 0);
    assert.deepEqual(
      [seen.browser, seen.os, seen.device_kind, seen.ip],
      ['Chrome', 'Android', 'mobile', '127.0.0.1'],
    );
    assert.notDeepEqual(seen.authenticated_at, seen.last_seen_at);
  });

  it('go on by refreshes at the token endpoint as well, which are the same', async () => {
    const { id, refreshToken } = await world.person();
    await age(id, 10 * DAY);

    const response = await fetch(`${world.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: world.clientId,
        refresh_token: refreshToken,
      }),
    });

    assert.equal(response.status, 200);
    near(secondsUntil((await entryOf(id)).ends_at), 14 * DAY);
  });

  it('that were ended stay so, however many refresh at the same moment', async () => {
    const { id, token, refreshToken } = await world.person();
    await age(id, 10 * DAY);
    const { id: session } = await entryOf(id);

    const [revoked] = await Promise.all([
      world.call('DELETE', `/auth/sessions/${session}`, { token }),
      ...Array.from({ length: 10 }, () => refresh(refreshToken)),
    ]);
    const after = await refresh(refreshToken);

    assert.equal(revoked.status, 204);
    assert.equal(after.status, 401);
    const [entry, row] = [await entryOf(id), await rowOf(id)];
    assert.equal(entry.end_reason, 'revoked');
    assert.ok(row.dead_at);
    assert.deepEqual((await app.services.sessions.list(world.actor, id)).length, 0);
  });

  it('end with all others of the person, wherever that is asked for', async () => {
    const { id, token, refreshToken } = await world.person();

    await app.services.sessions.revokeAll(world.actor, id);

    assert.equal((await world.call('GET', '/auth/me', { token })).status, 401);
    assert.equal((await refresh(refreshToken)).status, 401);
  });

  it('keep an account whose owner had asked for its deletion, as any sign-in does', async () => {
    const [back, gone] = [await world.person(), await world.person()];
    for (const { id, email } of [back, gone]) {
      const actor = { ...world.actor, type: 'user' as const, id };
      await app.services.accountDeletions.request(actor, { email, locale: 'en' });
    }
    assert.equal((await refresh(back.refreshToken)).status, 401);
    assert.equal((await world.login(back.email)).status, 200);

    await app
      .db('account_deletions')
      .whereIn('user_id', [back.id, gone.id])
      .update({ due_at: app.db.fn.now() });
    while (await app.services.accountDeletions.carryOutNext());

    assert.equal((await world.login(back.email)).status, 200);
    assert.equal((await world.login(gone.email)).status, 401);
    assert.equal((await app.services.users.get(world.actor, back.id)).status, 'active');
  });

  it('tell with each answer of tokens what they are and how long they last', async () => {
    const { email, refreshToken } = await world.person();

    for (const { body } of [await world.login(email), await refresh(refreshToken)]) {
      assert.equal(body.token_type, 'Bearer');
      assert.equal(body.expires_in, 600);
      near(body.refresh_expires_in, 14 * DAY);
      near(body.issued_at, Date.now() / 1000);
      assert.equal(body.kid, decodeProtectedHeader(body.access_token).kid);
    }
  });
});
