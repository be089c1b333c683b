import assert from 'node:assert/strict';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { RequestState } from '../../src/http/request-state.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { mfaChallengeSchema } from '../../src/management-api/auth/mfa-challenge.ts';
import type { MfaChallenge } from '../../src/management-api/auth/mfa-challenge.ts';
import { createApiSessions } from '../../src/management-api/auth/api-sessions.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { createApiWorld } from './api-world.ts';
import type { ApiWorld } from './api-world.ts';

describe('API sign-in', () => {
  let app: TestApp;
  let world: ApiWorld;

  before(async () => {
    app = await startTestApp();
    world = await createApiWorld(app);
  });

  after(async () => {
    await app.close();
  });

  describe('login, when the password alone is not enough', () => {
    const challenge: MfaChallenge = {
      mfa_required: true,
      mfa_token: 'opaque',
      factors: ['totp'],
      expires_in: 300,
    };

    /** What a sign-in answers whose person has a second factor. */
    async function loginWithFactor(email: string, password: string) {
      const asked: string[] = [];
      const sessions = createApiSessions({
        ...app.services,
        challengeFor: async (user) => {
          asked.push(user.id);
          return challenge;
        },
        now: systemClock,
      });
      const tenantProvider =
        (await app.registry.get(world.tenant.slug)) ?? assert.fail('the tenant is not there');
      const state = {} as RequestState;
      const actor = { ...world.actor, userAgent: 'a device that was never used' };
      const answer = sessions.login({ tenantProvider, state }, actor, {
        email,
        password,
        scope: undefined,
      });
      return { answer, asked };
    }

    it('answers with the challenge, and makes neither a session nor tokens', async () => {
      const { id, email } = await world.person();
      const madeFor = () =>
        app
          .db('oidc_models')
          .where({ tenant_id: world.tenant.id, account_id: id })
          .count('* AS made')
          .first();
      const before = await madeFor();

      const { answer, asked } = await loginWithFactor(email, GOOD_PASSWORD);

      assert.deepEqual(mfaChallengeSchema.parse(await answer), challenge);
      assert.deepEqual(asked, [id]);
      assert.deepEqual(await madeFor(), before);
      // Nobody is signed in yet, so there is no device to tell of.
      assert.deepEqual(await app.db('events').where({ target_id: id, type: 'auth.suspicious_activity' }), []);
    });

    it('asks nobody for a factor who does not know the password', async () => {
      const { email } = await world.person();

      const { answer, asked } = await loginWithFactor(email, 'not the password of anybody');

      await assert.rejects(answer, { code: 'auth.invalid_credentials' });
      assert.deepEqual(asked, []);
    });
  });

  describe('login', () => {
    it('issues tokens of the tenant’s issuer and keys, for the API, to the first-party client', async () => {
      const { id, email } = await world.person();

      const { status, body } = await world.login(email);

      assert.equal(status, 200);
      const keys = createRemoteJWKSet(new URL(`${world.issuer}/jwks`));
      const { payload } = await jwtVerify(body.access_token, keys, {
        issuer: world.issuer,
        audience: `${world.issuer}/api/v1`,
        typ: 'at+jwt',
      });
      assert.equal(payload.sub, id);
      assert.equal(payload['client_id'], world.clientId);
      assert.equal(payload['tenant_id'], world.tenant.id);
      assert.deepEqual(payload['roles'], []);
      assert.equal(body.kid, decodeProtectedHeader(body.access_token).kid);
      assert.equal(body.token_type, 'Bearer');
      assert.ok(body.expires_in > 0 && body.expires_in <= 600);
      assert.ok(body.refresh_expires_in > body.expires_in);
      assert.ok(Math.abs(body.issued_at - Date.now() / 1000) < 10);
      const idToken = await jwtVerify(body.id_token, keys, {
        issuer: world.issuer,
        audience: world.clientId,
      });
      assert.equal(idToken.payload.sub, id);
    });

    it('names the roles of the person in the token', async () => {
      const { token } = await world.person({ isAdministrator: true });

      assert.deepEqual(decodeJwt(token)['roles'], ['administrator']);
    });

    it('issues refresh tokens that the token endpoint takes, and takes those of the token endpoint', async () => {
      const { refreshToken } = await world.person();

      const response = await fetch(`${world.issuer}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          client_id: world.clientId,
          refresh_token: refreshToken,
        }),
      });
      const tokens = (await response.json()) as { refresh_token: string };

      assert.equal(response.status, 200, JSON.stringify(tokens));
      const { status } = await world.call('POST', '/auth/refresh', {
        body: { refresh_token: tokens.refresh_token },
      });
      assert.equal(status, 200);
    });

    it('answers alike for a wrong password, an unknown address, and people who may not sign in', async () => {
      const { email, id } = await world.person();
      const { email: disabled, id: disabledId } = await world.person();
      await app.services.users.disable(world.actor, disabledId);
      void id;

      const answers = await Promise.all(
        [
          { email, password: 'not the password at all' },
          { email: 'nobody@example.com', password: GOOD_PASSWORD },
          { email: disabled, password: GOOD_PASSWORD },
          { email: 'no address', password: GOOD_PASSWORD },
        ].map((body) => world.call('POST', '/auth/login', { body })),
      );

      const told = answers.map(({ status, body: { traceId: _traceId, ...body } }) => ({ status, body }));
      assert.equal(told[0]?.status, 401);
      assert.equal(told[0]?.body.code, 'auth.invalid_credentials');
      for (const one of told) assert.deepEqual(one, told[0]);
    });

    it('is counted together with the guesses on the sign-in page', async () => {
      const limited = await startTestApp({
        env: { GATEHOUSE_RATE_LIMITS: 'on', GATEHOUSE_SIGN_IN_ATTEMPTS: '3' },
      });
      try {
        const own = await createApiWorld(limited);
        const { email } = await own.person();
        const wrong = () =>
          own.call('POST', '/auth/login', { body: { email, password: 'wrong and long enough' } });
        for (let count = 0; count < 3; count += 1) assert.equal((await wrong()).status, 401);

        const { status, body, headers } = await own.login(email);

        assert.equal(status, 429);
        assert.equal(body.code, 'auth.too_many_attempts');
        assert.ok(Number(headers.get('retry-after')) > 0);
      } finally {
        await limited.close();
      }
    });

    it('refuses a scope the client may not have, and a tenant without a first-party client', async () => {
      const { email } = await world.person();
      const bare = await app.tenant();

      const beyond = await world.login(email, 'openid everything');
      const none = await world.call('POST', '/auth/login', {
        baseUrl: bare.issuer,
        body: { email, password: GOOD_PASSWORD },
      });

      assert.equal(beyond.status, 400);
      assert.equal(beyond.body.code, 'auth.scope_not_allowed');
      assert.deepEqual(beyond.body.errors, [{ pointer: '#/scope', detail: 'everything is not allowed' }]);
      assert.equal(none.status, 403);
      assert.equal(none.body.code, 'auth.not_available');
    });

    it('issues opaque tokens where the tenant wants them, and takes them', async () => {
      const own = await createApiWorld(app);
      await app.services.tenants.update(own.actor, own.tenant.slug, {
        settings: { apiTokenFormat: 'opaque' },
      });
      await app.registry.refresh();
      const { token, id } = await own.person();

      const me = await own.call('GET', '/auth/me', { token });
      await own.call('POST', '/auth/logout', { token });
      const after = await own.call('GET', '/auth/me', { token });

      assert.match(token, /^at_/);
      assert.equal(me.body.user.id, id);
      assert.equal(after.status, 401);
    });
  });

  describe('refresh', () => {
    it('rotates, and gives one successor to fifty requests at once', async () => {
      const { refreshToken } = await world.person();

      const answers = await Promise.all(
        Array.from({ length: 50 }, () =>
          world.call('POST', '/auth/refresh', { body: { refresh_token: refreshToken } }),
        ),
      );

      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
      const successors = new Set(answers.map(({ body }) => body.refresh_token));
      assert.equal(successors.size, 1);
      assert.ok(!successors.has(refreshToken));
    });

    it('ends everything when a refresh token is used again after its successor', async () => {
      const { refreshToken } = await world.person();
      const refresh = (token: string) =>
        world.call('POST', '/auth/refresh', { body: { refresh_token: token } });
      const second = await refresh(refreshToken);
      const third = await refresh(second.body.refresh_token);

      const reused = await refresh(refreshToken);

      assert.equal(reused.status, 401);
      assert.equal(reused.body.code, 'auth.invalid_grant');
      assert.equal((await refresh(third.body.refresh_token)).status, 401);
      assert.equal((await world.call('GET', '/auth/me', { token: third.body.access_token })).status, 401);
    });

    it('refuses what is no refresh token, and those of another tenant', async () => {
      const other = await createApiWorld(app);
      const { refreshToken } = await other.person();

      for (const token of ['rt_made-up', 'nonsense', refreshToken]) {
        const { status, body } = await world.call('POST', '/auth/refresh', {
          body: { refresh_token: token },
        });
        assert.equal(status, 401);
        assert.equal(body.code, 'auth.invalid_grant');
      }
    });

    it('narrows the scope and never widens it', async () => {
      const { refreshToken } = await world.person();

      const narrow = await world.call('POST', '/auth/refresh', {
        body: { refresh_token: refreshToken, scope: 'account:read' },
      });
      const wide = await world.call('POST', '/auth/refresh', {
        body: { refresh_token: narrow.body.refresh_token, scope: 'account:read phone' },
      });

      assert.equal(narrow.body.scope, 'account:read');
      assert.equal(wide.status, 400);
      assert.equal(wide.body.code, 'auth.invalid_scope');
    });
  });

  describe('logout', () => {
    it('ends the session with all of its tokens', async () => {
      const { token, refreshToken, id } = await world.person();

      const { status } = await world.call('POST', '/auth/logout', { token });

      assert.equal(status, 204);
      assert.equal((await world.call('GET', '/auth/me', { token })).status, 401);
      const refreshed = await world.call('POST', '/auth/refresh', { body: { refresh_token: refreshToken } });
      assert.equal(refreshed.status, 401);
      const live = await app
        .db('oidc_models')
        .where({ tenant_id: world.tenant.id, account_id: id })
        .whereIn('model', ['Session', 'Grant'])
        .whereNull('dead_at');
      assert.deepEqual(live, []);
      const [event] = await app
        .db('events')
        .where({ tenant_id: world.tenant.id, type: 'user.logout', target_id: id });
      assert.ok(event);
    });

    it('leaves the other sessions of the person alone', async () => {
      const { token, email } = await world.person();
      const { body: other } = await world.login(email);

      await world.call('POST', '/auth/logout', { token });

      assert.equal((await world.call('GET', '/auth/me', { token: other.access_token })).status, 200);
    });

    it('is not for services', async () => {
      const token = await world.serviceToken('users:read');

      const { status } = await world.call('POST', '/auth/logout', { token });

      assert.equal(status, 403);
    });
  });
});
