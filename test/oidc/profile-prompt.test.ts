import assert from 'node:assert/strict';
import type { TenantSettingsPatch } from '../../src/tenants/tenant-settings.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

describe('what a profile lacks', () => {
  let app: TestApp;
  let tenant: TestTenant;

  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    const settings: TenantSettingsPatch = { profileFields: ['name', 'phone_number'] };
    await app.services.tenants.update(tenant.actor, tenant.tenant.slug, { settings });
    await app.registry.refresh();
  });

  after(() => app.close());

  const party = () => createRelyingParty(app, tenant, { firstParty: true });

  /** Signs in, up to the page that asks, or to the app. */
  async function signIn(rp: RelyingParty, agent: UserAgent): Promise<Page> {
    const url = rp.authorizationUrl({ login_hint: rp.user.email, prompt: 'login' });
    const form = await agent.follow(await agent.get(url), tenant.issuer);
    return agent.follow(await agent.submit(form, '/password', { password: GOOD_PASSWORD }), tenant.issuer);
  }

  const toApp = async (agent: UserAgent, page: Page) =>
    new URL((await agent.follow(page, tenant.issuer)).location ?? assert.fail(page.body)).searchParams;

  const claimsOf = async (rp: RelyingParty) =>
    (await app.db('user_profiles').where({ user_id: rp.user.id }).first()).claims;

  it('is asked for after the sign-in, saved, and not asked for again', async () => {
    const [rp, agent] = [await party(), createUserAgent()];
    await app.services.users.update(tenant.actor, rp.user.id, { claims: { name: 'Ana' } });

    const asked = await signIn(rp, agent);
    const answer = await toApp(agent, await agent.submit(asked, '/profile', { phone_number: '+351 1' }));
    const next = await signIn(rp, createUserAgent());

    assert.equal(asked.status, 200);
    assert.match(asked.body, /name="phone_number"/);
    assert.doesNotMatch(asked.body, /name="name"/);
    assert.equal((await rp.redeem(answer.get('code') ?? '')).status, 200);
    assert.deepEqual(await claimsOf(rp), { name: 'Ana', phone_number: '+351 1' });
    assert.ok(next.location?.includes('code='));
    const [event] = await app
      .db('events')
      .where({ target_id: rp.user.id, type: 'user.updated', actor_type: 'user', actor_id: rp.user.id });
    assert.deepEqual(event.data, { changed: ['claims.phone_number'] });
  });

  it('is not taken from who was signed out everywhere while the page was open', async () => {
    const [rp, agent] = [await party(), createUserAgent()];
    const asked = await signIn(rp, agent);
    await app.services.sessions.revokeAll(tenant.actor, rp.user.id);

    const answer = await agent.submit(asked, '/profile', { name: 'Somebody else' });
    const page = await agent.follow(answer, tenant.issuer);

    assert.match(page.body, /name="password"/);
    assert.deepEqual(await claimsOf(rp), {});
  });

  it('can be kept to oneself, for 90 days', async () => {
    const [rp, agent] = [await party(), createUserAgent()];

    const answer = await toApp(agent, await agent.submit(await signIn(rp, agent), '/profile/skip'));
    const soon = await signIn(rp, createUserAgent());
    await app
      .db('user_profiles')
      .where({ user_id: rp.user.id })
      .update({ asked_at: app.db.raw("now() - interval '91 days'") });
    const later = await signIn(rp, createUserAgent());

    assert.ok(answer.get('code'));
    assert.ok(soon.location?.includes('code='));
    assert.match(later.body, /name="phone_number"/);
    assert.deepEqual(await claimsOf(rp), {});
  });

  it('holds nobody up whose app wants no page', async () => {
    const [rp, agent] = [await party(), createUserAgent()];
    await signIn(rp, agent);

    const silent = await agent.follow(
      await agent.get(rp.authorizationUrl({ prompt: 'none' })),
      tenant.issuer,
    );

    assert.ok(silent.location?.includes('code='), silent.location);
  });

  it('is asked for before the consent, and leads on to it', async () => {
    const [rp, agent] = [await createRelyingParty(app, tenant), createUserAgent()];

    const asked = await signIn(rp, agent);
    const consent = await agent.follow(await agent.submit(asked, '/profile/skip'), tenant.issuer);

    assert.match(consent.body, /name="decision"/);
  });

  it('is not saved where it cannot be stored, and what was typed is kept', async () => {
    const [rp, agent] = [await party(), createUserAgent()];

    const refused = await agent.submit(await signIn(rp, agent), '/profile', {
      name: 'Ana <b>',
      phone_number: '1'.repeat(300),
    });

    assert.equal(refused.status, 422);
    assert.match(refused.body, /href="#phone_number"/);
    assert.match(refused.body, /value="Ana &lt;b&gt;"/);
    assert.deepEqual(await claimsOf(rp), {});
    const done = await toApp(agent, await agent.submit(refused, '/profile', { name: 'Ana' }));
    assert.ok(done.get('code'));
    assert.deepEqual(await claimsOf(rp), { name: 'Ana' });
  });

  it('cannot be told of anything else, without the token of the form, or at another step', async () => {
    const [rp, agent] = [await party(), createUserAgent()];
    const asked = await signIn(rp, agent);
    const action = new URL(/action="([^"]*\/profile)"/.exec(asked.body)?.[1] ?? '', asked.url).href;

    const forged = await agent.post(action, { name: 'Mallory' });
    await agent.submit(asked, '/profile', { name: 'Ana', email_verified: 'true', nickname: 'An' });
    const login = createUserAgent();
    const start = rp.authorizationUrl({ login_hint: rp.user.email });
    const password = await login.follow(await login.get(start), tenant.issuer);
    const early = await login.post(password.url.replace(/\/?(password)?$/, '/profile/skip'), {
      csrf: /name="csrf" value="([^"]*)"/.exec(password.body)?.[1] ?? '',
    });

    assert.equal(forged.status, 403);
    assert.equal(early.status, 409);
    assert.deepEqual(await claimsOf(rp), { name: 'Ana' });
  });

  it('is asked of nobody in another tenant', async () => {
    const other = await app.tenant();
    const rp = await createRelyingParty(app, other, { firstParty: true });

    assert.ok((await rp.signIn())['code']);
  });
});
