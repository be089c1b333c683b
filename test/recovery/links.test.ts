import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { GOOD_PASSWORD } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { axeViolations, newPage } from '../support/browser.ts';
import { newAddress, startMailApp } from '../support/mail-app.ts';
import type { MailApp } from '../support/mail-app.ts';
import { codeIn, linkIn } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { createUserAgent } from '../support/user-agent.ts';

const NEW_PASSWORD = 'seven wandering lighthouses hum';

describe('the link of a mail, opened anywhere', () => {
  let mailApp: MailApp;
  let sink: SmtpSink;
  let app: TestApp;
  let tenant: TestTenant;
  let anyone: MailApp['anyone'];
  let person: MailApp['person'];

  before(async () => {
    mailApp = await startMailApp();
    ({ app, tenant, sink, anyone, person } = mailApp);
  });

  after(() => mailApp.close());

  const signsIn = async (email: string, password: string) =>
    (await app.services.passwordSignIn.verify(anyone(), { email, password })).ok;

  async function resetLink() {
    const user = await person();
    await app.services.passwordReset.start(anyone(), { email: user.email, binding: 'x', locale: 'en' });
    return { user, link: linkIn(await sink.mailTo(user.email)) };
  }

  async function invitationLink() {
    const email = newAddress();
    const user = await app.services.invitations.invite(tenant.actor, { email, locale: 'en' });
    return { user, link: linkIn(await sink.mailTo(email)) };
  }

  async function undoLink() {
    const user = await person();
    const newEmail = newAddress();
    const change = { userId: user.id, binding: 'a-session' };
    await app.services.emailChange.start(tenant.actor, { ...change, newEmail, locale: 'en' });
    const code = codeIn(await sink.mailTo(newEmail));
    const before = sink.mails.length;
    const confirmed = await app.services.emailChange.confirm(tenant.actor, { ...change, code });
    assert.equal(confirmed.ok, true);
    return { user, newEmail, link: linkIn(await sink.mailTo(user.email, before)) };
  }

  async function verifyLink() {
    const user = await person();
    await app.services.emailVerification.start(anyone(), { email: user.email, binding: 'x', locale: 'en' });
    return { user, link: linkIn(await sink.mailTo(user.email)) };
  }

  async function unlockLink() {
    const user = await person();
    const { id: userId, email } = user;
    await app.services.accountLock.lock(anyone(), { userId, email }, { seconds: undefined });
    return { user, link: linkIn(await sink.mailTo(email)) };
  }

  const makers = { resetLink, invitationLink, undoLink, verifyLink, unlockLink };

  for (const [name, make] of Object.entries(makers)) {
    it(`changes nothing by being looked at, however often (${name})`, async () => {
      const { link } = await make();
      const before = await snapshot();

      for (const url of [link, link, link.replace('/link?', '/link/done?')]) {
        await fetch(url);
        await fetch(url, { method: 'HEAD' });
      }

      assert.deepEqual(await snapshot(), before);
    });

    it(`is used once, and says so then (${name})`, async () => {
      const { link } = await make();
      const agent = createUserAgent();
      const page = await agent.get(link);

      const done = await agent.submit(page, '/link', { password: NEW_PASSWORD });
      const end = await agent.follow(done, tenant.issuer);
      const again = await agent.submit(page, '/link', { password: `${NEW_PASSWORD} again` });

      assert.equal(done.status, 303);
      assert.equal(end.status, 200);
      assert.equal(again.status, 410);
      assert.match(again.body, /already used/);
    });

    it(`is worth nothing once the account was deleted (${name})`, async () => {
      const { user, link } = await make();
      const agent = createUserAgent();
      const page = await agent.get(link);
      await app.services.users.delete(tenant.actor, user.id);

      const answer = await agent.submit(page, '/link', { password: NEW_PASSWORD });

      assert.equal(answer.status, 410, answer.body);
      assert.equal((await app.db('users').where({ id: user.id }).first()).status, 'deleted');
    });

    it(`does nothing without its form's token, nor in another tenant (${name})`, async () => {
      const { link } = await make();
      const other = await app.tenant();
      const token = new URL(link).searchParams.get('token') ?? '';

      const forged = await createUserAgent().post(`${tenant.issuer}/link`, { token, password: NEW_PASSWORD });
      const foreign = await createUserAgent().get(`${other.issuer}/link?token=${token}`);

      assert.equal(forged.status, 403);
      assert.equal(foreign.status, 410);
      assert.equal((await fetch(link)).status, 200);
    });
  }

  async function snapshot() {
    const tokens = await app
      .db('one_time_tokens')
      .orderBy('id')
      .select('id', 'tries', 'proved_at', 'consumed_at', 'expires_at');
    const [{ count }] = (await app.db('events').count()) as [{ count: string }];
    return { tokens, count };
  }

  it('sets a new password on another device, and ends all access', async () => {
    const { user, link } = await resetLink();
    const agent = createUserAgent();

    const short = await agent.submit(await agent.get(link), '/link', { password: 'short' });
    await agent.submit(short, '/link', { password: NEW_PASSWORD });

    assert.equal(short.status, 400);
    assert.match(short.body, /Use at least 15 characters/);
    assert.equal(await signsIn(user.email, NEW_PASSWORD), true);
    assert.equal(await signsIn(user.email, GOOD_PASSWORD), false);
  });

  it('leads on to where the app begins a sign-in by itself', async () => {
    const { client } = await app.services.clients.create(tenant.actor, {
      name: 'Notes',
      metadata: {
        redirect_uris: ['https://notes.example/callback'],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        initiate_login_uri: 'https://notes.example/login',
      },
    });
    const user = await person();
    const { clientId } = client;
    const request = { email: user.email, binding: 'x', locale: 'en', clientId };
    await app.services.passwordReset.start(anyone(), request);
    const agent = createUserAgent();
    const page = await agent.get(linkIn(await sink.mailTo(user.email)));

    const done = await agent.submit(page, '/link', { password: NEW_PASSWORD });
    const end = await agent.follow(done, tenant.issuer);

    assert.match(end.body, /href="https:\/\/notes\.example\/login\?iss=[^"]+"/);
  });

  it('makes an invited person active, with the password they chose', async () => {
    const { user, link } = await invitationLink();
    const agent = createUserAgent();
    await agent.submit(await agent.get(link), '/link', { password: NEW_PASSWORD });

    const accepted = await app.services.users.get(tenant.actor, user.id);
    assert.equal(user.status, 'pending');
    assert.equal(accepted.status, 'active');
    assert.ok(accepted.emailVerifiedAt);
    assert.equal(await signsIn(user.email, NEW_PASSWORD), true);
  });

  it('of an invitation is renewed by one button once it has expired, and tells strangers nothing', async () => {
    const { user, link } = await invitationLink();
    await app.db('one_time_tokens').where({ user_id: user.id }).update({ created_at: '2020-01-01' });
    await app.db('mails').where({ recipient: user.email }).update({ status: 'sent', sent_at: '2020-01-01' });
    const before = sink.mails.length;
    const agent = createUserAgent();

    const expired = await agent.get(link);
    const renewed = await agent.submit(expired, '/link/renew');
    const fresh = linkIn(await sink.mailTo(user.email, before));
    const stranger = await agent.get(
      link.replace(/token=.*/, `token=${randomBytes(32).toString('base64url')}`),
    );
    const answer = await agent.submit(stranger, '/link/renew');

    assert.equal(expired.status, 410);
    assert.notEqual(fresh, link);
    assert.equal((await fetch(fresh)).status, 200);
    assert.equal(stranger.status, 410);
    assert.deepEqual([answer.status, answer.location], [renewed.status, renewed.location]);
    assert.equal(sink.mails.length, before + 1);
  });

  it('speaks the language that its reader saved, as the mail does, wherever it was asked for', async () => {
    const email = newAddress();
    const claims = { locale: 'fr-CA' };
    await app.services.users.create(tenant.actor, { email, password: GOOD_PASSWORD, claims });
    await app.services.passwordReset.start(anyone(), { email, binding: 'x', locale: 'de' });
    const mail = await sink.mailTo(email);

    const page = await createUserAgent().get(linkIn(mail));

    assert.match(mail.parsed.subject ?? '', /mot de passe/);
    assert.match(page.body, /<html lang="fr"/);
  });

  it('ends the invitation before when another is sent, and refuses who has an account', async () => {
    const { user, link } = await invitationLink();
    await app.services.invitations.invite(tenant.actor, { email: user.email, locale: 'de' });
    const member = await person();

    assert.equal((await fetch(link)).status, 410);
    await assert.rejects(
      app.services.invitations.invite(tenant.actor, { email: member.email, locale: 'en' }),
      { code: 'invitation.not_pending' },
    );
  });

  it('gives the former address back, with another password, to who did not ask for the change', async () => {
    const { user, newEmail, link } = await undoLink();
    const changed = await app.services.users.get(tenant.actor, user.id);
    const agent = createUserAgent();

    await agent.submit(await agent.get(link), '/link', { password: NEW_PASSWORD });

    const restored = await app.services.users.get(tenant.actor, user.id);
    assert.equal(changed.email, newEmail);
    assert.equal(restored.email, user.email);
    assert.equal(await signsIn(user.email, GOOD_PASSWORD), false);
    assert.equal(await signsIn(user.email, NEW_PASSWORD), true);
  });

  it('says so when somebody else has the former address by now', async () => {
    const { user, link } = await undoLink();
    await app.services.users.create(tenant.actor, { email: user.email, password: GOOD_PASSWORD });
    const agent = createUserAgent();

    const refused = await agent.submit(await agent.get(link), '/link', { password: NEW_PASSWORD });

    assert.equal(refused.status, 409);
    assert.match(refused.body, /The address is in use/);
  });

  it('does not change to an address that somebody has, and does not tell', async () => {
    const [user, other] = [await person(), await person()];
    const before = sink.mails.length;
    const change = { userId: user.id, newEmail: other.email, binding: 'b', locale: 'en' };

    const outcome = await app.services.emailChange.start(tenant.actor, change);
    const tried = await app.services.emailChange.confirm(tenant.actor, { ...change, code: '123456' });

    assert.deepEqual(outcome, { ok: true });
    assert.equal(tried.ok, false);
    assert.equal(sink.mails.length, before);
  });

  it('verifies an address, by code as well', async () => {
    const { user, link } = await verifyLink();
    const code = codeIn(await sink.mailTo(user.email));
    const byCode = await app.services.emailVerification.confirm(anyone(), { binding: 'x', code });
    const { user: second, link: secondLink } = await verifyLink();
    const agent = createUserAgent();
    await agent.submit(await agent.get(secondLink), '/link');

    assert.equal(byCode.ok, true);
    assert.ok(link);
    for (const { id } of [user, second])
      assert.ok((await app.services.users.get(tenant.actor, id)).emailVerifiedAt);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`has pages without fault in ${colorScheme} colours on a phone`, async () => {
      const page = await newPage({ colorScheme, width: 360 });
      const faults: string[] = [];
      for (const [name, make] of Object.entries(makers)) {
        await page.goto((await make()).link);
        if (process.env['SCREENSHOTS'])
          await page.screenshot({ path: `${process.env['SCREENSHOTS']}/link-${name}-${colorScheme}.png` });
        faults.push(...(await axeViolations(page)));
        const password = page.getByLabel('New password');
        if ((await password.count()) > 0) await password.fill(NEW_PASSWORD);
        await page.locator('main button[type=submit]').click();
        await page.waitForURL(/\/link\/done/);
        faults.push(...(await axeViolations(page)));
      }

      assert.deepEqual(faults, []);
    }).timeout(60_000);
  }
});
