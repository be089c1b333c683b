import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { UserAgent } from '../support/user-agent.ts';

describe('the cookie of a session', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  const sessionCookies = ({ cookies }: UserAgent) =>
    cookies.filter(({ name }) => name.includes('_session')).map((cookie) => ({ ...cookie }));

  /** As if the person had signed in so much later, or earlier. */
  const moveSignIn = (accountId: string, seconds: number) =>
    sessionsOf(accountId).update({
      payload: app.db.raw("jsonb_set(payload, '{loginTs}', to_jsonb((payload->>'loginTs')::int + ?::int))", [
        seconds,
      ]),
    });

  const sessionsOf = (accountId: string) =>
    app
      .db('oidc_models')
      .where({ tenant_id: tenant.tenant.id, model: 'Session', account_id: accountId })
      .whereNull('dead_at');

  it('stays when the answer to a request from before the sign-in comes late', async () => {
    const rp = await createRelyingParty(app, tenant);
    const [browser, lateRequest] = [createUserAgent(), createUserAgent()];
    await rp.signIn(browser);
    await moveSignIn(rp.user.id, -100);
    lateRequest.cookies.push(...sessionCookies(browser));
    await rp.signIn(browser, { prompt: 'login' });

    const late = await lateRequest.get(rp.authorizationUrl({ prompt: 'none' }));

    assert.notDeepEqual(sessionCookies(lateRequest), sessionCookies(browser));
    assert.equal(new URL(late.location ?? '').searchParams.get('error'), 'login_required');
    assert.deepEqual(
      late.headers.getSetCookie().filter((cookie) => cookie.includes('_session')),
      [],
    );
    const now = await browser.get(rp.authorizationUrl({ prompt: 'none' }));
    assert.ok(new URL(now.location ?? '').searchParams.get('code'));
  });

  it('and the time of the sign-in stay when an earlier sign-in of another tab ends later', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    const password = await agent.follow(
      await agent.get(rp.authorizationUrl({ login_hint: rp.user.email })),
      tenant.issuer,
    );
    const consent = await agent.follow(
      await agent.submit(password, '/password', { password: 'correct horse battery staple' }),
      tenant.issuer,
    );
    // In the other tab the person has proved it again.
    await moveSignIn(rp.user.id, 100);
    const [before] = await sessionsOf(rp.user.id);
    const cookies = sessionCookies(agent);

    const allowed = await agent.submit(consent, '/consent', { decision: 'allow' });
    const { location = '' } = await agent.follow(allowed, tenant.issuer);

    const [after] = await sessionsOf(rp.user.id);
    assert.ok(new URL(location).searchParams.get('code'));
    assert.equal(after.payload.loginTs, before.payload.loginTs);
    assert.deepEqual(
      sessionCookies(agent).map(({ value }) => value),
      cookies.map(({ value }) => value),
    );
  });
});
