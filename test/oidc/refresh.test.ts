import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { signOut } from '../support/sign-out.ts';
import { introspect, isActive, tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

const DAY = 86_400;
const OFFLINE = { scope: 'openid offline_access', prompt: 'consent' };

describe('refresh', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  /** As if everything of the client had happened so long ago. */
  const age = (rp: RelyingParty, seconds: number, model = 'RefreshToken') =>
    app.db.raw(
      `UPDATE oidc_models
          SET payload = payload || (SELECT jsonb_object_agg(key, value::bigint - ?::bigint)
                                      FROM jsonb_each_text(payload) WHERE key IN ('iat', 'exp', 'iiat')),
              expires_at = expires_at - make_interval(secs => ?::float8)
        WHERE tenant_id = ? AND model = ? AND (client_id = ? OR account_id = ?)`,
      [seconds, seconds, tenant.tenant.id, model, rp.clientId, rp.user.id],
    );
  const lifeOf = async (rp: RelyingParty, token: string) =>
    Number((await introspect(rp, token))['exp']) - Date.now() / 1000;

  describe('scope', () => {
    it('can be narrowed for one access token and is whole again with the next', async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp, { authorize: { scope: 'openid email profile' } });

      const narrow = await rp.refresh(tokens.refresh_token, { scope: 'openid email' });
      const whole = await rp.refresh(narrow.body.refresh_token ?? '');

      assert.equal(narrow.body.scope, 'openid email');
      assert.equal((await introspect(rp, narrow.body.access_token ?? ''))['scope'], 'openid email');
      assert.equal(whole.body.scope, 'openid email profile');
    });

    it('cannot be widened, and the attempt costs the client nothing', async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp, { authorize: { scope: 'openid' } });

      const wide = await rp.refresh(tokens.refresh_token, { scope: 'openid email' });
      const usual = await rp.refresh(tokens.refresh_token);

      assert.deepEqual([wide.status, wide.body.error], [400, 'invalid_scope']);
      assert.equal(usual.status, 200);
    });

    it('without openid gives no ID token', async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp, { authorize: { scope: 'openid email' } });

      const { body } = await rp.refresh(tokens.refresh_token, { scope: 'email' });

      assert.deepEqual([body.scope, body.id_token], ['email', undefined]);
    });
  });

  describe('life', () => {
    it('begins anew with every use', async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp, { authorize: OFFLINE });
      await age(rp, 13 * DAY);

      const left = await lifeOf(rp, tokens.refresh_token);
      const { status, body } = await rp.refresh(tokens.refresh_token);

      assert.ok(left < DAY + 60);
      assert.equal(status, 200);
      assert.ok((await lifeOf(rp, body.refresh_token ?? '')) > 14 * DAY - 60);
    });

    it('ends when the token is not used for two weeks', async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp, { authorize: OFFLINE });
      await age(rp, 14 * DAY + 60);

      const { status, body } = await rp.refresh(tokens.refresh_token);

      assert.deepEqual([status, body.error], [400, 'invalid_grant']);
      assert.equal(await isActive(rp, tokens.refresh_token), false);
    });

    it('ends after ninety days, however often the token was used', async () => {
      const rp = await createRelyingParty(app, tenant);
      let { refresh_token: token } = await tokensOf(rp, { authorize: OFFLINE });

      for (let week = 0; week < 9; week += 1) {
        await age(rp, 9.9 * DAY);
        const { status, body } = await rp.refresh(token);
        assert.equal(status, 200, `in round ${week}`);
        token = body.refresh_token ?? '';
      }
      const left = await lifeOf(rp, token);
      await age(rp, DAY);
      const after = await rp.refresh(token);

      assert.ok(left < DAY, `${left}`);
      assert.equal(after.body.error, 'invalid_grant');
    });

    it('is what the operator says', async () => {
      const brief = await startTestApp({
        env: {
          PUBLIC_URL: app.url,
          GATEHOUSE_REFRESH_IDLE_SECONDS: '60',
          GATEHOUSE_REFRESH_ABSOLUTE_SECONDS: '120',
        },
      });
      const elsewhere = { baseUrl: `http://127.0.0.1:${brief.config.port}/t/${tenant.tenant.slug}` };
      const rp = await createRelyingParty(app, tenant);
      const { refresh_token: first } = await tokensOf(rp, { authorize: OFFLINE });
      const refresh = (token: string) =>
        rp.token({ grant_type: 'refresh_token', refresh_token: token }, elsewhere);

      const second = await refresh(first);
      const idle = await lifeOf(rp, second.body.refresh_token ?? '');
      await age(rp, 50);
      const third = await refresh(second.body.refresh_token ?? '');
      await age(rp, 50);
      const fourth = await refresh(third.body.refresh_token ?? '');
      const rest = await lifeOf(rp, fourth.body.refresh_token ?? '');
      await brief.close();

      assert.ok(idle > 30 && idle <= 60, `${idle}`);
      assert.ok(rest <= 21, `${rest}`);
    });
  });

  describe('without offline access', () => {
    it('ends with the session', async () => {
      const rp = await createRelyingParty(app, tenant);
      const agent = createUserAgent();
      const tokens = await tokensOf(rp, { agent });

      await signOut(agent, tenant.issuer);

      assert.equal((await rp.refresh(tokens.refresh_token)).body.error, 'invalid_grant');
    });

    it('ends with the time of the session', async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp);
      await age(rp, 15 * DAY, 'Session');

      const { body } = await rp.refresh(tokens.refresh_token);

      assert.equal(body.error, 'invalid_grant');
      assert.equal(await isActive(rp, tokens.access_token), false);
    });

    it('is what a client gets that asks for offline access without asking the person', async () => {
      const rp = await createRelyingParty(app, tenant);
      const agent = createUserAgent();

      const tokens = await tokensOf(rp, { agent, authorize: { scope: 'openid offline_access' } });
      await signOut(agent, tenant.issuer);

      assert.equal(tokens.scope, 'openid');
      assert.equal((await rp.refresh(tokens.refresh_token)).body.error, 'invalid_grant');
    });
  });

  describe('with offline access', () => {
    it('goes on after signing out', async () => {
      const rp = await createRelyingParty(app, tenant);
      const agent = createUserAgent();
      const tokens = await tokensOf(rp, { agent, authorize: OFFLINE });

      await signOut(agent, tenant.issuer);
      const { status, body } = await rp.refresh(tokens.refresh_token);

      assert.equal(tokens.scope, 'openid offline_access');
      assert.equal(status, 200);
      assert.equal(await isActive(rp, body.access_token ?? ''), true);
    });

    it('ends when the user is disabled', async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp, { authorize: OFFLINE });

      await app.services.users.disable(tenant.actor, rp.user.id);

      assert.equal((await rp.refresh(tokens.refresh_token)).body.error, 'invalid_grant');
    });

    it('does not come back when the user is enabled again', async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp, { authorize: OFFLINE });

      await app.services.users.disable(tenant.actor, rp.user.id);
      await app.services.users.enable(tenant.actor, rp.user.id);

      assert.equal((await rp.refresh(tokens.refresh_token)).body.error, 'invalid_grant');
      assert.equal(await isActive(rp, tokens.access_token), false);
    });
  });

  it('gives an ID token of the same person, sign-in and app, without a nonce of its own', async () => {
    const rp = await createRelyingParty(app, tenant);
    const first = await tokensOf(rp, { authorize: { nonce: 'first', max_age: '1000' } });

    const { body } = await rp.refresh(first.refresh_token);

    const [before, after] = [decodeJwt(first.id_token), decodeJwt(body.id_token ?? '')];
    for (const claim of ['iss', 'sub', 'aud', 'auth_time'])
      assert.deepEqual(after[claim], before[claim], claim);
    assert.ok(after['nonce'] === undefined || after['nonce'] === 'first');
  });

  it('is not offered to a client that is not registered for it', async () => {
    const rp = await createRelyingParty(app, tenant, { metadata: { grant_types: ['authorization_code'] } });

    const tokens = await tokensOf(rp, { authorize: OFFLINE });

    assert.deepEqual([tokens.refresh_token, tokens.scope], ['', 'openid']);
  });

  it('stops for a client that is no longer registered for it', async () => {
    const rp = await createRelyingParty(app, tenant);
    const tokens = await tokensOf(rp);

    await app.services.clients.update(tenant.actor, rp.clientId, {
      metadata: { grant_types: ['authorization_code'] },
    });
    await app.registry.refresh();

    assert.equal((await rp.refresh(tokens.refresh_token)).status, 400);
  });

  it('leaves no usable token in the database', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    const tokens = await tokensOf(rp, { agent });
    const { code = '' } = await rp.signIn(agent);

    const { rows } = await app.db.raw(
      `SELECT row_to_json(oidc_models)::text AS text FROM oidc_models WHERE tenant_id = ?`,
      [tenant.tenant.id],
    );

    const text = rows.map((row: { text: string }) => row.text).join('\n');
    const secrets = [
      tokens.access_token,
      tokens.refresh_token,
      code,
      ...agent.cookies.map(({ value }) => value),
    ];
    assert.deepEqual(
      secrets.filter((secret) => secret.length > 20 && text.includes(secret)),
      [],
    );
  });
});
