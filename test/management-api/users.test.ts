import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { newId } from '../../src/lib/ids.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { createApiWorld } from './api-world.ts';
import type { ApiWorld, Person } from './api-world.ts';

describe('API users', () => {
  let app: TestApp;
  let world: ApiWorld;
  let administrator: Person;

  before(async () => {
    app = await startTestApp();
    world = await createApiWorld(app);
    administrator = await world.person({ isAdministrator: true });
  });

  after(async () => {
    await app.close();
  });

  const asAdministrator = (method: string, path: string, options = {}) =>
    world.call(method, path, { token: administrator.token, ...options });
  const freshEmail = (start = '') => `${start}${randomBytes(6).toString('hex')}@example.com`;

  it('adds users, reads them, and refuses an address that is taken', async () => {
    const email = freshEmail();
    const body = { email, email_verified: true, profile: { name: 'Ana Lima' } };

    const made = await asAdministrator('POST', '/users', { body });
    const read = await asAdministrator('GET', `/users/${made.body.id}`);
    const taken = await asAdministrator('POST', '/auth/register', { body: { email: email.toUpperCase() } });

    assert.equal(made.status, 201);
    assert.deepEqual(read.body, made.body);
    assert.equal(read.headers.get('etag'), made.headers.get('etag'));
    assert.deepEqual([taken.status, taken.body.code], [409, 'user.email_taken']);
    assert.equal(taken.body.errors[0].pointer, '#/email');
  });

  it('refuses everybody but administrators and services with the scope', async () => {
    const person = await world.person();
    const reader = await world.serviceToken('users:read');
    const writer = await world.serviceToken('users:write');
    const body = { email: freshEmail() };

    assert.equal((await world.call('POST', '/users', { token: person.token, body })).status, 403);
    assert.equal((await world.call('GET', '/users', { token: person.token })).status, 403);
    assert.equal((await world.call('POST', '/users', { token: reader, body })).status, 403);
    assert.equal((await world.call('GET', '/users', { token: reader })).status, 200);
    assert.equal((await world.call('POST', '/users', { token: writer, body })).status, 201);
  });

  it('takes the permission away with the role, on tokens that exist already', async () => {
    const former = await world.person({ isAdministrator: true });
    assert.equal((await world.call('GET', '/users', { token: former.token })).status, 200);

    await app.db('role_assignments').where({ user_id: former.id }).delete();

    assert.equal((await world.call('GET', '/users', { token: former.token })).status, 403);
  });

  it('issues no scope of this API to a client whose registration does not list it', async () => {
    const { client, secret = '' } = await app.services.clients.create(world.actor, {
      name: 'Unlisted',
      metadata: { grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_basic' },
    });
    const response = await fetch(`${world.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${client.clientId}:${secret}`).toString('base64')}` },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        scope: 'users:write',
        resource: `${world.issuer}/api/v1`,
      }),
    });

    assert.equal(response.status, 400);
    assert.equal(((await response.json()) as { error: string }).error, 'invalid_target');
  });

  it('pages through all users once, and finds them by address and state', async () => {
    const own = await createApiWorld(app);
    const { token } = await own.person({ isAdministrator: true });
    const prefix = `p${randomBytes(4).toString('hex')}_`;
    for (let count = 0; count < 5; count += 1)
      await app.services.users.create(own.actor, { email: freshEmail(prefix), status: 'pending' });

    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { body }: { body: { users: { id: string }[]; next_cursor: string | null } } = await own.call(
        'GET',
        `/users?limit=2${query}`,
        { token },
      );
      seen.push(...body.users.map(({ id }) => id));
      cursor = body.next_cursor;
    }
    const found = await own.call('GET', `/users?search=${prefix.toUpperCase()}`, { token });
    const pending = await own.call('GET', '/users?status=pending', { token });
    const wild = await own.call('GET', `/users?search=${encodeURIComponent('%')}`, { token });

    assert.equal(seen.length, 6);
    assert.equal(new Set(seen).size, 6);
    assert.equal(found.body.users.length, 5);
    assert.equal(pending.body.users.length, 5);
    assert.equal(wild.body.users.length, 0);
  });

  it('refuses cursors that are made up, of another list, or of another tenant', async () => {
    const own = await createApiWorld(app);
    const { token } = await own.person({ isAdministrator: true });
    await own.person();
    const { body } = await own.call('GET', '/users?limit=1', { token });
    const foreign = body.next_cursor;
    const forged = `${Buffer.from(`${newId()}' OR 1=1`).toString('base64url')}.${foreign.split('.')[1]}`;

    for (const cursor of [foreign, forged, 'nonsense', `${foreign}A`, '.', '[]']) {
      const answer = await asAdministrator('GET', `/users?cursor=${encodeURIComponent(cursor)}`);
      assert.deepEqual([answer.status, answer.body.code], [400, 'http.invalid_cursor'], cursor);
    }
    const other = await own.call('GET', `/users/${newId()}/activity?cursor=${foreign}`, { token });
    assert.ok(other.status === 400 || other.status === 404);
  });

  it('changes a user for whoever has read the present state, and for nobody else', async () => {
    const { id } = await world.person();
    const path = `/users/${id}`;
    const etag = (await asAdministrator('GET', path)).headers.get('etag') ?? '';
    const patch = (match: string | undefined, name: string) =>
      asAdministrator('PATCH', path, {
        body: { profile: { name } },
        headers: match === undefined ? {} : { 'if-match': match },
      });

    const blind = await patch(undefined, 'A');
    const both = await Promise.all([patch(etag, 'B'), patch(etag, 'C')]);
    const late = await patch(etag, 'D');

    assert.deepEqual([blind.status, blind.body.code], [428, 'http.precondition_required']);
    assert.deepEqual(
      both.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 412],
    );
    assert.deepEqual([late.status, late.body.code], [412, 'http.precondition_failed']);
    const winner = both.find(({ status }) => status === 200);
    assert.equal((await patch(winner?.headers.get('etag') ?? '', 'E')).status, 200);
  });

  it('counts a changed address as unverified, and removes claims that are null', async () => {
    const email = freshEmail();
    const { id } = await app.services.users.create(world.actor, {
      email: freshEmail(),
      emailVerified: true,
      claims: { name: 'Ana', nickname: 'An' },
    });

    const { status, body } = await asAdministrator('PATCH', `/users/${id}`, {
      body: { email, profile: { nickname: null } },
      headers: { 'if-match': '*' },
    });

    assert.equal(status, 200);
    assert.equal(body.email, email);
    assert.equal(body.email_verified, false);
    assert.deepEqual(body.profile, { name: 'Ana' });
  });

  it('disables, enables, locks, unlocks and deletes, with the end of all access', async () => {
    const person = await world.person();
    const me = () => world.call('GET', '/auth/me', { token: person.token });
    const step = async (action: string) => {
      const { status, body } = await asAdministrator('POST', `/users/${person.id}/${action}`, { body: {} });
      return [status, body.status ?? body.code];
    };

    assert.deepEqual(await step('disable'), [200, 'disabled']);
    assert.equal((await me()).status, 401);
    assert.deepEqual(await step('enable'), [200, 'active']);
    assert.equal((await me()).status, 401);
    assert.deepEqual(await step('lock'), [200, 'locked']);
    assert.equal((await world.login(person.email)).status, 401);
    assert.deepEqual(await step('unlock'), [200, 'active']);
    assert.equal((await world.login(person.email)).status, 200);
    assert.equal((await asAdministrator('DELETE', `/users/${person.id}`)).status, 204);
    assert.equal((await asAdministrator('GET', `/users/${person.id}`)).status, 404);
    assert.equal((await asAdministrator('DELETE', `/users/${person.id}`)).status, 404);
  });

  describe('Idempotency-Key', () => {
    const create = (key: string, email: string, token = administrator.token) =>
      world.call('POST', '/users', { token, body: { email }, headers: { 'idempotency-key': key } });

    it('gives the first answer again, and makes one user of twenty requests at once', async () => {
      const key = newId();
      const email = freshEmail();

      const answers = await Promise.all(Array.from({ length: 20 }, () => create(key, email)));
      const later = await create(key, email);

      const made = answers.filter(({ status }) => status === 201);
      assert.ok(made.length >= 1);
      for (const { status, body, headers } of answers) {
        if (status === 201) continue;
        assert.deepEqual([status, body.code], [409, 'idempotency.in_progress']);
        assert.ok(headers.get('retry-after'));
      }
      assert.equal(new Set([...made, later].map(({ body }) => body.id)).size, 1);
      assert.equal(later.headers.get('idempotency-replayed'), 'true');
      assert.equal(later.headers.get('etag'), made[0]?.headers.get('etag'));
    });

    it('refuses the same key for something else, and does not share keys between callers', async () => {
      const key = newId();
      const email = freshEmail();
      const second = await world.person({ isAdministrator: true });
      await create(key, email);

      const reused = await create(key, freshEmail());
      const others = await create(key, freshEmail(), second.token);

      assert.deepEqual([reused.status, reused.body.code], [422, 'idempotency.key_reused']);
      assert.equal(others.status, 201);
      assert.equal(others.headers.get('idempotency-replayed'), null);
    });

    it('keeps no refusal, and nothing in clear', async () => {
      const key = newId();
      const email = freshEmail();
      const taken = await create(key, administrator.email);

      const after = await create(newId(), email);
      const stored = await app.db('idempotency_keys').where({ tenant_id: world.tenant.id });

      assert.equal(taken.status, 409);
      assert.equal((await create(key, administrator.email)).headers.get('idempotency-replayed'), null);
      assert.equal(after.status, 201);
      assert.ok(stored.length > 0);
      assert.ok(!JSON.stringify(stored).includes(email));
    });

    it('refuses keys that are none', async () => {
      const { status, body } = await create('x'.repeat(256), freshEmail());

      assert.deepEqual([status, body.code], [400, 'http.bad_idempotency_key']);
    });
  });

  describe('of an account', () => {
    it('changes one’s own profile', async () => {
      const { token, id } = await world.person();

      const { status, body } = await world.call('POST', '/users/profile', { token, body: { name: 'Ana' } });

      assert.equal(status, 200);
      assert.equal(body.id, id);
      assert.deepEqual(body.profile, { name: 'Ana' });
    });

    it('changes one’s own profile as it was read, or not at all', async () => {
      const { token, id } = await world.person();
      const etag = (await world.call('GET', `/users/${id}`, { token })).headers.get('etag') ?? '';
      const change = (name: string) =>
        world.call('POST', '/users/profile', { token, body: { name }, headers: { 'if-match': etag } });

      const answers = [await change('Ana'), await change('Ben')];

      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 412],
      );
      assert.equal((await world.call('GET', '/auth/me', { token })).body.user.profile.name, 'Ana');
    });

    it('merges preferences, also of two changes at once', async () => {
      const { token, id } = await world.person();
      const path = `/users/${id}/preferences`;
      const patch = (body: object, headers = {}) => world.call('PATCH', path, { token, body, headers });

      await Promise.all([
        patch({ theme: 'dark', custom: { a: 1 } }),
        patch({ locale: 'pt', custom: { b: 'x' } }),
      ]);
      const read = await world.call('GET', path, { token });
      const removed = await patch(
        { theme: null, custom: { a: null } },
        { 'if-match': read.headers.get('etag') },
      );
      const stale = await patch({ theme: 'light' }, { 'if-match': read.headers.get('etag') });

      assert.deepEqual(read.body, { locale: 'pt', theme: 'dark', custom: { a: 1, b: 'x' } });
      assert.deepEqual(removed.body, { locale: 'pt', custom: { b: 'x' } });
      assert.equal(stale.status, 412);
      for (const bad of [{ time_zone: 'Mars/Olympus' }, { theme: 'neon' }, { custom: { A: 1 } }])
        assert.equal((await patch(bad)).status, 400);
    });

    it('tells apart what an administrator did to others and what happened to themselves', async () => {
      const { token, id } = await world.person({ isAdministrator: true });
      const { id: other } = await world.person();
      await world.call('POST', `/users/${other}/disable`, { token, body: {} });

      const own = (await world.call('GET', `/users/${id}/activity?limit=2`, { token })).body.events;
      const theirs = (await world.call('GET', `/users/${other}/activity?limit=1`, { token })).body.events;

      assert.deepEqual(
        [...own, ...theirs].map((event) => [event.type, event.by_user, event.about_user]),
        [
          ['user.disabled', true, false],
          ['user.login', true, true],
          ['user.disabled', false, true],
        ],
      );
    });

    it('keeps one language and one time zone, whether they are set as preferences or in the profile', async () => {
      const { token, id } = await world.person();
      const path = `/users/${id}/preferences`;
      const profileOf = async () => (await world.call('GET', `/users/${id}`, { token })).body.profile;

      await world.call('PATCH', path, { token, body: { locale: 'de', time_zone: 'Europe/Berlin' } });
      const asPreferences = await profileOf();
      await world.call('POST', '/users/profile', { token, body: { locale: 'fr (odd)', zoneinfo: null } });
      const asProfile = await world.call('GET', path, { token });
      await world.call('PATCH', path, { token, body: { locale: null } });

      assert.deepEqual(asPreferences, { locale: 'de', zoneinfo: 'Europe/Berlin' });
      assert.deepEqual(asProfile.body, { locale: 'fr (odd)' });
      assert.deepEqual(await profileOf(), {});
    });

    it('takes over a language that was stored among the preferences', async () => {
      const { token, id } = await world.person();
      const row = { user_id: id, tenant_id: world.tenant.id, preferences: { locale: 'es', theme: 'dark' } };
      await app.db('user_preferences').insert(row);
      const path = `/users/${id}/preferences`;

      const read = await world.call('GET', path, { token });
      await world.call('PATCH', path, { token, body: { theme: 'light' } });

      assert.deepEqual(read.body, { locale: 'es', theme: 'dark' });
      const user = await world.call('GET', `/users/${id}`, { token });
      assert.deepEqual(user.body.profile, { locale: 'es' });
      assert.deepEqual((await world.call('GET', path, { token })).body, { locale: 'es', theme: 'light' });
    });

    it('shows what happened, newest first, page by page, and what services reported', async () => {
      const { token, id } = await world.person();
      const service = await world.serviceToken('activity:write');
      for (const activity of ['invoice.opened', 'invoice.paid']) {
        const { status } = await world.call('POST', `/auth/users/${id}/activity`, {
          token: service,
          body: { activity, data: { invoice: '17' } },
        });
        assert.equal(status, 204);
      }

      const first = await world.call('GET', `/users/${id}/activity?limit=2`, { token });
      const second = await world.call(
        'GET',
        `/users/${id}/activity?limit=2&cursor=${first.body.next_cursor}`,
        {
          token,
        },
      );

      const types = [...first.body.events, ...second.body.events].map(({ type }) => type);
      assert.deepEqual(types.slice(0, 3), ['user.activity', 'user.activity', 'user.login']);
      assert.deepEqual(
        [first.body.events[0].reason, first.body.events[0].data],
        ['invoice.paid', { invoice: '17' }],
      );
      assert.equal(first.body.events[0].ip, null);
      const ids = [...first.body.events, ...second.body.events].map((event) => event.id);
      assert.equal(new Set(ids).size, ids.length);
    });

    it('takes no activity that names a secret, is too large, or is of nobody', async () => {
      const { id } = await world.person();
      const token = await world.serviceToken('activity:write');
      const report = (data: object, user = id) =>
        world.call('POST', `/auth/users/${user}/activity`, { token, body: { activity: 'x', data } });

      assert.equal((await report({ password: 'x' })).status, 400);
      assert.equal((await report({ note: 'x'.repeat(501) })).status, 400);
      assert.equal((await report({ nested: {} })).status, 400);
      assert.equal((await report({}, newId())).status, 404);
    });

    it('sums up an account', async () => {
      const { token, id, email } = await world.person();
      await world.call('POST', '/auth/login', { body: { email, password: 'a wrong password, long enough' } });

      const { status, body } = await world.call('GET', `/users/${id}/dashboard`, { token });

      assert.equal(status, 200);
      assert.equal(body.user.id, id);
      assert.deepEqual([body.logins_30_days, body.failed_logins_30_days], [1, 1]);
      assert.ok(Date.parse(body.last_login_at) <= Date.now());
      assert.ok(body.recent_activity.length >= 3);
    });

    it('tells who one is, and what one may do with this token', async () => {
      const { body } = await asAdministrator('GET', '/auth/me');
      const narrow = (await world.login(administrator.email, 'account:read')).body.access_token;
      const { body: narrowed } = await world.call('GET', '/auth/me', { token: narrow });

      assert.deepEqual(body.roles, ['administrator']);
      assert.ok(body.permissions.includes('users:write'));
      assert.equal(body.client_id, world.clientId);
      assert.deepEqual(narrowed.permissions, ['account:read']);
    });

    it('lists sessions page by page, the one made last first, with a cursor for nobody else', async () => {
      const { token, email } = await world.person();
      await world.login(email);
      await world.login(email);
      const page = async (query: string) => world.call('GET', `/auth/sessions?${query}`, { token });

      const { body: first } = await page('limit=2');
      const { body: second } = await page(`limit=2&cursor=${first.next_cursor}`);

      const all = [...first.sessions, ...second.sessions];
      const times = all.map(({ created_at }): string => created_at);
      assert.deepEqual([first.sessions.length, second.sessions.length, second.next_cursor], [2, 1, null]);
      assert.deepEqual(
        times,
        times.toSorted((a, b) => b.localeCompare(a)),
      );
      assert.deepEqual(
        all.map(({ is_current }) => is_current),
        [false, false, true],
      );
      const { token: stranger } = await world.person();
      const foreign = await world.call('GET', `/auth/sessions?cursor=${first.next_cursor}`, {
        token: stranger,
      });
      assert.equal(foreign.body.code, 'http.invalid_cursor');
    });

    it('lists sessions, and ends one with its tokens', async () => {
      const { token, email } = await world.person();
      const { body: other } = await world.login(email);
      const list = async () => (await world.call('GET', '/auth/sessions', { token })).body.sessions;
      const before: { id: string; is_current: boolean; methods: string[]; client_ids: string[] }[] =
        await list();
      const foreign = before.find((session) => !session.is_current);
      const stranger = await world.person();

      const theft = await world.call('DELETE', `/auth/sessions/${foreign?.id}`, { token: stranger.token });
      const { status } = await world.call('DELETE', `/auth/sessions/${foreign?.id}`, { token });

      assert.equal(before.length, 2);
      assert.deepEqual([before[0]?.methods, before[0]?.client_ids], [['pwd'], [world.clientId]]);
      assert.equal(theft.status, 404);
      assert.equal(status, 204);
      assert.equal((await list()).length, 1);
      assert.equal((await world.call('GET', '/auth/me', { token: other.access_token })).status, 401);
      const refreshed = await world.call('POST', '/auth/refresh', {
        body: { refresh_token: other.refresh_token },
      });
      assert.equal(refreshed.status, 401);
      assert.equal((await world.call('GET', '/auth/me', { token })).status, 200);
    });
  });

  describe('for services', () => {
    it('validates tokens of the caller’s own and of resources it speaks for, and no others', async () => {
      const resource = `https://api.example/${randomBytes(4).toString('hex')}`;
      await app.services.resources.create(world.actor, {
        identifier: resource,
        scopes: [{ name: 'read' }],
        introspectionClientIds: [world.service.clientId],
      });
      await app.registry.refresh();
      const person = await world.person();
      const own = await world.serviceToken('tokens:validate');
      const validate = (token: string, options: object) =>
        world.call('POST', '/auth/validate', { body: { token }, ...options });

      const ofOwn = await validate(own, { token: own });
      const byBasic = await validate(own, { as: world.service });
      const ofOthers = await validate(person.token, { as: world.service });
      const nonsense = await validate('nonsense', { as: world.service });
      const wrongSecret = await validate(own, { as: { ...world.service, secret: 'wrong' } });

      assert.equal(ofOwn.body.active, true);
      assert.equal(ofOwn.body.client_id, world.service.clientId);
      assert.equal(ofOwn.body.scope, 'tokens:validate');
      assert.deepEqual(byBasic.body, ofOwn.body);
      assert.deepEqual(ofOthers.body, { active: false });
      assert.deepEqual(nonsense.body, { active: false });
      assert.deepEqual([wrongSecret.status, wrongSecret.body.code], [401, 'http.invalid_client']);
      assert.match(wrongSecret.headers.get('www-authenticate') ?? '', /^Basic /);
    });

    it('decides what users may do, by their roles', async () => {
      const person = await world.person();
      const ask = async (body: object) =>
        (await world.call('POST', '/auth/authorize', { as: world.service, body })).body;

      assert.deepEqual(await ask({ user_id: person.id, action: 'account:read' }), { allowed: true });
      assert.deepEqual(await ask({ user_id: person.id, action: 'users:write' }), { allowed: false });
      assert.deepEqual(await ask({ user_id: administrator.id, action: 'users:write' }), { allowed: true });
      assert.deepEqual(await ask({ user_id: administrator.id, action: 'toString' }), { allowed: false });
      await app.services.users.disable(world.actor, person.id);
      assert.deepEqual(await ask({ user_id: person.id, action: 'account:read' }), { allowed: false });
      assert.equal((await ask({ user_id: newId(), action: 'account:read' })).code, 'user.not_found');
    });

    it('decides what a token may do, by its scopes and audience', async () => {
      const own = await world.serviceToken('access:read');
      const ask = async (body: object) =>
        (await world.call('POST', '/auth/authorize', { token: own, body: { token: own, ...body } })).body;

      assert.deepEqual(await ask({ action: 'access:read' }), { allowed: true });
      assert.deepEqual(await ask({ action: 'access:read', resource: `${world.issuer}/api/v1` }), {
        allowed: true,
      });
      assert.deepEqual(await ask({ action: 'access:read', resource: 'https://other.example' }), {
        allowed: false,
      });
      assert.deepEqual(await ask({ action: 'users:read' }), { allowed: false });
      assert.deepEqual(await ask({ token: 'nonsense', action: 'access:read' }), { allowed: false });
    });

    it('tells roles, permissions and context of a user', async () => {
      const token = await world.serviceToken('access:read users:read');
      const { id } = administrator;

      const roles = await world.call('GET', `/auth/roles/${id}`, { token });
      const permissions = await world.call('GET', `/auth/permissions/${id}`, { token });
      const context = await world.call('GET', `/auth/users/${id}/context`, { token });

      assert.deepEqual(roles.body, { user_id: id, roles: ['administrator'] });
      assert.ok(permissions.body.permissions.includes('users:delete'));
      assert.equal(context.body.user.id, id);
      assert.deepEqual(context.body.preferences, {});
    });

    it('refuses tokens that were issued for nothing in particular', async () => {
      const response = await fetch(`${world.issuer}/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`${world.service.clientId}:${world.service.secret}`).toString('base64')}`,
        },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      });
      const { access_token: token } = (await response.json()) as { access_token: string };

      assert.equal((await world.call('GET', '/users', { token })).status, 401);
    });
  });

  it('ends the tokens of a service with the service', async () => {
    const own = await createApiWorld(app);
    const token = await own.serviceToken('users:read');
    assert.equal((await own.call('GET', '/users', { token })).status, 200);

    await app.services.clients.disable(own.actor, own.service.clientId);
    await app.registry.refresh();

    assert.equal((await own.call('GET', '/users', { token })).status, 401);
  });
});
