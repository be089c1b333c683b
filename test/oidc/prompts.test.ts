import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

describe('prompt, max_age and hints', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  async function signedIn(): Promise<{ rp: RelyingParty; agent: UserAgent }> {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    await rp.signIn(agent);
    return { rp, agent };
  }

  const start = async (rp: RelyingParty, agent: UserAgent, params: Record<string, string>) =>
    agent.follow(await agent.get(rp.authorizationUrl(params)), tenant.issuer);
  const outcome = ({ location = '' }: Page) => {
    assert.ok(location.startsWith(REDIRECT_URI), `not back at the app but at ${location}`);
    return Object.fromEntries(new URL(location).searchParams);
  };
  /** As if the person had signed in so long ago. */
  const ageSession = (rp: RelyingParty, seconds: number) =>
    app.db.raw(
      `UPDATE oidc_models SET payload = jsonb_set(payload, '{loginTs}', to_jsonb((payload->>'loginTs')::int - ?::int))
        WHERE tenant_id = ? AND model = 'Session' AND account_id = ?`,
      [seconds, tenant.tenant.id, rp.user.id],
    );

  describe('prompt=none', () => {
    it('gives a code without a page to somebody signed in who consented', async () => {
      const { rp, agent } = await signedIn();

      const { location } = await agent.get(rp.authorizationUrl({ prompt: 'none' }));

      assert.ok(new URL(location ?? '').searchParams.get('code'));
    });

    it('answers login_required to a browser where nobody is signed in', async () => {
      const { rp } = await signedIn();

      const { error, code } = outcome(await start(rp, createUserAgent(), { prompt: 'none' }));

      assert.deepEqual([error, code], ['login_required', undefined]);
    });

    it('answers consent_required for what was not consented to', async () => {
      const { rp, agent } = await signedIn();

      const { error } = outcome(await start(rp, agent, { prompt: 'none', scope: 'openid email' }));

      assert.equal(error, 'consent_required');
    });

    it('stands alone', async () => {
      const { rp, agent } = await signedIn();

      const { error, code } = outcome(await start(rp, agent, { prompt: 'none login' }));

      assert.deepEqual([error, code], ['invalid_request', undefined]);
    });

    it('answers login_required once the user is disabled', async () => {
      const { rp, agent } = await signedIn();
      await app.services.users.disable(tenant.actor, rp.user.id);

      const { error } = outcome(await start(rp, agent, { prompt: 'none' }));

      assert.equal(error, 'login_required');
    });
  });

  describe('prompt=login', () => {
    it('asks for the password again and says so in auth_time', async () => {
      const { rp, agent } = await signedIn();
      await ageSession(rp, 1000);
      const before = Math.floor(Date.now() / 1000) - 900;

      const page = await start(rp, agent, { prompt: 'login' });
      const { id_token: idToken } = await tokensOf(rp, { agent, authorize: { prompt: 'login' } });

      assert.match(page.body, /name="password"/);
      assert.ok(page.body.includes(rp.user.email));
      assert.ok(Number(decodeJwt(idToken)['auth_time']) > before);
    });

    it('is not answered by going back to the request', async () => {
      const { rp, agent } = await signedIn();

      const first = await start(rp, agent, { prompt: 'login' });
      const again = await agent.get(first.url);

      assert.match(again.body, /name="password"/);
      assert.equal(again.location, undefined);
    });
  });

  describe('prompt=consent', () => {
    it('asks again for what was consented to before', async () => {
      const { rp, agent } = await signedIn();

      const { body } = await start(rp, agent, { prompt: 'consent' });

      assert.match(body, /name="decision"/);
    });

    it('returns access_denied to the app when the person declines, and records it', async () => {
      const { rp, agent } = await signedIn();
      const page = await start(rp, agent, { prompt: 'consent' });

      const declined = await agent.submit(page, '/consent', { decision: 'cancel' });
      const params = outcome(await agent.follow(declined, tenant.issuer));

      assert.equal(params['error'], 'access_denied');
      assert.deepEqual([params['iss'], params['state']], [tenant.issuer, 'a-state']);
      const events = await app
        .db('events')
        .where({ tenant_id: tenant.tenant.id, type: 'consent.denied', target_id: rp.clientId });
      assert.equal(events.length, 1);
      assert.equal(events[0].actor_id, rp.user.id);
    });
  });

  describe('prompt=select_account', () => {
    it('asks who it is, and goes on without a password for whoever is signed in', async () => {
      const { rp, agent } = await signedIn();
      const page = await start(rp, agent, { prompt: 'select_account' });

      const chosen = await agent.submit(page, '/accounts', { account: rp.user.id });
      const { code } = outcome(await agent.follow(chosen, tenant.issuer));

      assert.ok(page.body.includes(rp.user.email));
      assert.ok(code);
    });

    it('asks for the password of another account, and signs the first one out', async () => {
      const { rp, agent } = await signedIn();
      const { refresh_token: first } = await tokensOf(rp, { agent });
      const other = await createRelyingParty(app, tenant);
      const chooser = await start(rp, agent, { prompt: 'select_account' });
      const identifier = await agent.get(`${chooser.url}/identifier`);

      const typed = await agent.follow(
        await agent.submit(identifier, '/identifier', { username: other.user.email }),
        tenant.issuer,
      );
      const changing = await agent.follow(
        await agent.submit(typed, '/password', { password: GOOD_PASSWORD }),
        tenant.issuer,
      );
      const consent = await agent.follow(await agent.submit(changing, '/logout/confirm'), tenant.issuer);
      const allowed = await agent.submit(consent, '/consent', { decision: 'allow' });
      const { code = '' } = outcome(await agent.follow(allowed, tenant.issuer));
      const { body } = await rp.redeem(code);

      assert.equal(decodeJwt(body.id_token ?? '').sub, other.user.id);
      assert.equal((await rp.refresh(first)).body.error, 'invalid_grant');
      assert.match(
        changing.headers.get('content-security-policy') ?? '',
        /form-action 'self' https:\/\/app\.example/,
      );
    });

    it('asks for an address where no account is known', async () => {
      const { rp } = await signedIn();

      const { body } = await start(rp, createUserAgent(), { prompt: 'select_account' });

      assert.match(body, /name="username"/);
    });

    it('does not take an account this browser does not know', async () => {
      const { rp, agent } = await signedIn();
      const stranger = await createRelyingParty(app, tenant);
      const page = await start(rp, agent, { prompt: 'select_account' });

      const { status, location } = await agent.submit(page, '/accounts', { account: stranger.user.id });

      assert.deepEqual([status, location], [400, undefined]);
    });
  });

  describe('login_hint', () => {
    it('fills in whom the app expects', async () => {
      const rp = await createRelyingParty(app, tenant);

      const { body } = await start(rp, createUserAgent(), { login_hint: rp.user.email });

      assert.match(body, /name="password"/);
      assert.ok(body.includes(rp.user.email));
    });

    it('does not sign in anybody by itself', async () => {
      const { rp, agent } = await signedIn();
      const other = await createRelyingParty(app, tenant);

      const params = outcome(await start(rp, agent, { login_hint: other.user.email }));

      const { body } = await rp.redeem(params['code'] ?? '');
      assert.equal(decodeJwt(body.id_token ?? '').sub, rp.user.id);
    });
  });

  describe('max_age', () => {
    it('is met by a fresh sign-in, and auth_time is in the ID token', async () => {
      const { rp, agent } = await signedIn();

      const { id_token: idToken } = await tokensOf(rp, { agent, authorize: { max_age: '300' } });

      assert.ok(Math.abs(Number(decodeJwt(idToken)['auth_time']) - Date.now() / 1000) < 300);
    });

    it('asks for the password again when the sign-in is older', async () => {
      const { rp, agent } = await signedIn();
      await ageSession(rp, 301);

      const [asked, refused] = [
        await start(rp, agent, { max_age: '300' }),
        await start(rp, agent, { max_age: '300', prompt: 'none' }),
      ];

      assert.match(asked.body, /name="password"/);
      assert.equal(outcome(refused)['error'], 'login_required');
    });

    it('of 0 always asks', async () => {
      const { rp, agent } = await signedIn();

      const { body } = await start(rp, agent, { max_age: '0' });

      assert.match(body, /name="password"/);
    });
  });

  describe('id_token_hint', () => {
    it('is met by the user it names', async () => {
      const { rp, agent } = await signedIn();
      const { id_token: hint } = await tokensOf(rp, { agent });

      const { code } = outcome(await start(rp, agent, { prompt: 'none', id_token_hint: hint }));

      assert.ok(code);
    });

    it('is not met by another user', async () => {
      const { rp, agent } = await signedIn();
      const elsewhere = createUserAgent();
      const other = await createRelyingParty(app, tenant);
      const { id_token: hint } = await tokensOf(other, { agent: elsewhere });
      const misused = await tokensOf(rp, { agent });

      const foreign = outcome(await start(other, agent, { prompt: 'none', id_token_hint: misused.id_token }));
      const unmet = outcome(await start(other, agent, { prompt: 'none', id_token_hint: hint }));

      assert.equal(foreign['error'], 'invalid_request');
      assert.equal(unmet['error'], 'login_required');
    });
  });
});
