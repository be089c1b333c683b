import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { newPage } from '../support/browser.ts';
import { startLoopbackServer } from '../support/loopback-server.ts';
import type { LoopbackServer } from '../support/loopback-server.ts';
import {
  allow,
  arrival,
  giveEmail,
  heading,
  inspect,
  openPage,
  openTab,
  signIn,
  signInAndAllow,
  startWorld,
  TIMEOUT_MS,
} from './support.ts';
import type { Party, World } from './support.ts';

describe('a forged form', function () {
  this.timeout(TIMEOUT_MS);

  let world: World;
  let attacker: LoopbackServer;

  before(async () => {
    world = await startWorld();
    attacker = await startLoopbackServer();
  });

  after(async () => {
    await world.close();
    await attacker.close();
  });

  /** At another port of the same host, to which browsers do send our cookies: the nearest an attacker can get. */
  const attackerUrl = () => attacker.url.replace('127.0.0.1', 'localhost');

  const eventsOf = async (type: string, party: Party): Promise<number> =>
    (await world.app.db('events').where({ tenant_id: world.tenant.tenant.id, type })).filter(
      ({ target_id: target, actor_id: actor }) => [target, actor].includes(party.user.id),
    ).length;

  /** Opens a page of the attacker that sends a form as soon as it is there. */
  async function lure(page: Page, action: string, fields: Record<string, string>): Promise<number> {
    const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`);
    attacker.respond = (_req, res) =>
      void res
        .writeHead(200, { 'content-type': 'text/html' })
        .end(
          `<!doctype html><title>Win</title><link rel="icon" href="data:,"><form method="post" action="${action}">${inputs.join('')}</form><script>document.forms[0].submit()</script>`,
        );
    const answered = page.waitForResponse((response) => response.request().method() === 'POST');
    await page.goto(attackerUrl());
    return (await answered).status();
  }

  const hidden = async (page: Page): Promise<Record<string, string>> =>
    page.evaluate(
      `Object.fromEntries([...document.querySelector('main form:last-of-type').elements].filter((e) => e.type === 'hidden').map((e) => [e.name, e.value]))`,
    );

  it('does not consent in the name of who is signed in, not even with the token of the page', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page);
    await signIn(page, party.user.email);
    await heading(page, /wants to access/);
    const fields = await hidden(page);
    const stage = openTab(await page.context().newPage());

    const status = await lure(stage, `${page.url()}/consent`, fields);
    await heading(stage, 'You do not have access');
    await inspect(stage, 'forged');

    assert.equal(fields['decision'], 'allow');
    assert.equal(status, 403);
    assert.equal(await eventsOf('consent.granted', party), 0);
    await allow(page);
    assert.ok((await arrival(page, world))['code']);
  });

  it('does not sign anybody in as the attacker', async () => {
    const [page, mallory] = [await openPage(), await world.party()];
    await mallory.start(page);
    await giveEmail(page, mallory.user.email);
    await heading(page, 'Enter your password');
    const fields = await hidden(page);
    const stage = openTab(await page.context().newPage());

    const status = await lure(stage, page.url(), { ...fields, password: 'correct horse battery staple' });

    assert.equal(status, 403);
    assert.equal(await eventsOf('user.login', mallory), 0);
    assert.equal(await eventsOf('user.login_failed', mallory), 0);
  });

  it('from another site does not even bring the cookies', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page);
    await signIn(page, party.user.email);
    await heading(page, /wants to access/);
    const fields = await hidden(page);
    const stage = openTab(await page.context().newPage());
    await stage.goto(world.appUrl);

    const action = JSON.stringify(`${page.url()}/consent`);
    await stage.evaluate(`{
      const form = document.body.appendChild(document.createElement('form'));
      form.method = 'post';
      form.action = ${action};
      for (const [name, value] of Object.entries(${JSON.stringify(fields)})) {
        const input = form.appendChild(document.createElement('input'));
        Object.assign(input, { name, value });
      }
      form.submit();
    }`);
    await heading(stage, /wants to access/);

    assert.equal(await eventsOf('consent.granted', party), 0);
  });

  for (const [what, forge] of [
    ['without a token', "document.querySelector('[name=csrf]').remove()"],
    ['with a made-up token', "document.querySelector('[name=csrf]').value = 'made.up'"],
    ['with a changed token', "document.querySelector('[name=csrf]').value += 'A'"],
  ] as const) {
    it(`of our own page ${what} is refused, and the page still works when it is opened again`, async () => {
      const [page, party] = [await openPage(), await world.party()];
      await party.start(page);
      await giveEmail(page, party.user.email);
      await heading(page, 'Enter your password');
      const address = page.url();
      await page.evaluate(forge);
      await page.getByLabel('Password', { exact: true }).fill('correct horse battery staple');

      const answered = page.waitForResponse((response) => response.request().method() === 'POST');
      await page.keyboard.press('Enter');
      const status = (await answered).status();
      await heading(page, 'You do not have access');

      assert.equal(status, 403);
      assert.equal(await eventsOf('user.login', party), 0);
      await page.goto(address);
      await heading(page, 'Enter your password');
    });
  }

  it('with the token of another sign-in is refused', async () => {
    const [page, party] = [await openPage(), await world.party()];
    await party.start(page);
    const { csrf = '' } = await hidden(page);
    await party.start(page);

    await page.evaluate(`document.querySelector('[name=csrf]').value = ${JSON.stringify(csrf)}`);
    await giveEmail(page, party.user.email);

    await heading(page, 'You do not have access');
  });

  it('cannot be laid over our page: nobody may frame it', async () => {
    // The console says that the frame was refused.
    const [page, party] = [await newPage(), await world.party()];
    await signInAndAllow(page, world, party);
    const target = party.authorizationUrl({ redirect_uri: world.redirectUri, prompt: 'consent' });
    attacker.respond = (_req, res) =>
      void res
        .writeHead(200, { 'content-type': 'text/html' })
        .end(`<!doctype html><iframe src="${target.replaceAll('&', '&amp;')}"></iframe>`);
    const refusal = page.waitForEvent('console', (message) => /frame/i.test(message.text()));

    await page.goto(attackerUrl());
    await refusal;

    assert.equal(await page.frameLocator('iframe').getByRole('button', { name: 'Allow' }).count(), 0);
  });
});
