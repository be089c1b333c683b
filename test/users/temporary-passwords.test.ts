import assert from 'node:assert/strict';
import { createApiWorld } from '../management-api/api-world.ts';
import type { ApiWorld } from '../management-api/api-world.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { axeViolations, faultsOf, newPage } from '../support/browser.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

const TEMPORARY = 'nine quiet harbours awake';
const OWN = 'seven wandering lighthouses hum';

describe('a password that an operator gave out', () => {
  let app: TestApp;
  let world: ApiWorld;
  let rp: RelyingParty;

  before(async () => {
    app = await startTestApp();
    world = await createApiWorld(app);
  });
  beforeEach(async () => {
    rp = await createRelyingParty(app, world);
    await giveOut(TEMPORARY);
  });
  after(() => app.close());

  const giveOut = (password: string) =>
    app.services.users.setPassword(world.actor, rp.user.id, password, { isTemporary: true });
  const visitor = () => ({ ...world.actor, type: 'anonymous' as const });
  const signsIn = (password: string) =>
    app.services.passwordSignIn.verify(visitor(), { email: rp.user.email, password });

  async function start(agent: UserAgent): Promise<Page> {
    const first = await agent.follow(await agent.get(rp.authorizationUrl()), world.issuer);
    const sent = await agent.submit(first, '/identifier', { username: rp.user.email });
    return agent.follow(sent, world.issuer);
  }

  async function withTemporary(agent: UserAgent): Promise<Page> {
    const answer = await agent.submit(await start(agent), '/password', { password: TEMPORARY });
    return agent.follow(answer, world.issuer);
  }

  const sessions = () =>
    app
      .db('oidc_models')
      .where({ tenant_id: world.tenant.id, model: 'Session', account_id: rp.user.id })
      .count();

  it('is good for choosing one’s own, and then the sign-in goes on', async () => {
    const agent = createUserAgent();

    const page = await withTemporary(agent);
    const [{ count: before }] = (await sessions()) as [{ count: string }];
    const chosen = await agent.submit(page, '/own-password', { password: OWN });
    const consent = await agent.follow(chosen, world.issuer);

    assert.match(page.body, /Choose your own password/);
    assert.equal(Number(before), 0);
    assert.equal(chosen.status, 303);
    assert.match(consent.body, /Allow/);
    const after = await signsIn(OWN);
    assert.ok(after.ok && after.temporary === undefined);
    assert.equal((await signsIn(TEMPORARY)).ok, false);
  });

  it('cannot be kept, nor replaced by a weak one', async () => {
    const agent = createUserAgent();
    const page = await withTemporary(agent);

    const kept = await agent.follow(
      await agent.submit(page, '/own-password', { password: TEMPORARY }),
      world.issuer,
    );
    const weak = await agent.follow(
      await agent.submit(kept, '/own-password', { password: 'short' }),
      world.issuer,
    );
    const own = await agent.submit(weak, '/own-password', { password: OWN });

    assert.match(kept.body, /It is the one you were given; choose another one\./);
    assert.match(weak.body, /Use at least 15 characters/);
    assert.equal(own.status, 303);
    assert.equal((await signsIn(OWN)).ok, true);
  });

  it('gives no tokens over the API', async () => {
    const refused = await world.call('POST', '/auth/login', {
      body: { email: rp.user.email, password: TEMPORARY },
    });
    const wrong = await world.call('POST', '/auth/login', {
      body: { email: rp.user.email, password: GOOD_PASSWORD },
    });

    assert.deepEqual([refused.status, refused.body.code], [403, 'auth.password_change_required']);
    assert.equal(refused.body.access_token, undefined);
    assert.deepEqual([wrong.status, wrong.body.code], [401, 'auth.invalid_credentials']);
  });

  it('has a page that cannot be reached without it, by another browser, or without the form’s token', async () => {
    const [agent, thief] = [createUserAgent(), createUserAgent()];
    const asked = await start(agent);
    const path = asked.url.replace(/\/[^/]*$/, '/own-password');

    const early = await agent.get(path);
    const { csrf = '' } = /name="csrf" value="(?<csrf>[^"]*)"/.exec(asked.body)?.groups ?? {};
    const skipped = await agent.post(path, { csrf, password: OWN });
    await withTemporary(agent);
    const forged = await agent.post(path, { password: OWN });
    const stolen = await thief.post(path, { csrf, password: OWN });

    assert.equal(early.status, 303);
    assert.equal(skipped.status, 409);
    assert.equal(forged.status, 403);
    assert.equal(stolen.location?.includes('code='), false);
    assert.equal((await signsIn(OWN)).ok, false);
  });

  it('is replaced once, however many try at once', async () => {
    const outcome = await signsIn(TEMPORARY);
    const proof = outcome.ok ? (outcome.temporary ?? '') : '';

    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, (_, index) =>
        app.services.temporaryPasswords.replace(visitor(), {
          userId: rp.user.id,
          proof,
          password: `${OWN} ${index}`,
        }),
      ),
    );

    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  it('is no proof any more once an operator has given out another', async () => {
    const agent = createUserAgent();
    const page = await withTemporary(agent);
    await giveOut('eleven patient gardens sleep');

    const late = await agent.follow(
      await agent.submit(page, '/own-password', { password: OWN }),
      world.issuer,
    );

    assert.match(late.body, /action="[^"]*\/password"/);
    assert.equal((await signsIn(OWN)).ok, false);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`is replaced on a page without fault, in ${colorScheme} colours on a phone, and leads to the app`, async () => {
      const page = await newPage({ colorScheme, width: 360 });
      await page.goto(rp.authorizationUrl());
      await page.getByLabel('Email').fill(rp.user.email);
      await page.locator('main button[type=submit]').click();
      await page.getByLabel('Password', { exact: true }).fill(TEMPORARY);
      await page.locator('main button[type=submit]').click();
      await page.waitForURL(/own-password/);
      if (process.env['SCREENSHOTS'])
        await page.screenshot({ path: `${process.env['SCREENSHOTS']}/own-password-${colorScheme}.png` });

      assert.deepEqual(await axeViolations(page), []);
      await page.getByLabel('New password').fill(OWN);
      await page.locator('main button[type=submit]').click();
      const allow = page.getByRole('button', { name: 'Allow' });
      await allow.waitFor();
      assert.deepEqual(faultsOf(page), []);
      const called = page.waitForRequest((request) => request.url().startsWith(REDIRECT_URI));
      await allow.click();
      assert.ok(new URL((await called).url()).searchParams.has('code'));
    }).timeout(60_000);
  }
});
