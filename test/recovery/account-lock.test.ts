import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { codeIn, linkIn, startSmtpSink } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { createUserAgent } from '../support/user-agent.ts';

const LIMIT = 3;
const NEW_PASSWORD = 'seven wandering lighthouses hum';
const LIMITS = {
  GATEHOUSE_RATE_LIMITS: 'on',
  GATEHOUSE_SIGN_IN_ATTEMPTS: String(LIMIT),
  GATEHOUSE_SIGN_IN_LOCK_AFTER: String(LIMIT),
  GATEHOUSE_SIGN_IN_ATTEMPTS_PER_NETWORK: '1000',
};

describe('an account that was locked by guessing', () => {
  let own: OwnDatabase;
  let sink: SmtpSink;
  let app: TestApp;
  let tenant: TestTenant;

  before(async () => {
    own = await migratedDatabase();
    sink = await startSmtpSink();
    app = await startTestApp({ db: own.db, env: { ...LIMITS, SMTP_URL: sink.url } });
    tenant = await app.tenant();
  });

  after(async () => {
    await app.close();
    await sink.close();
    await own.drop();
  });

  const stranger = (ip = '192.0.2.1') => ({ ...tenant.actor, type: 'anonymous' as const, ip });
  const newAddress = () => `${randomBytes(4).toString('hex')}@example.com`;
  const tokenOf = (link: string) => new URL(link).searchParams.get('token') ?? '';
  const statusOf = async (id: string) => (await app.services.users.get(tenant.actor, id)).status;
  /** That went out or will. */
  const mailsTo = (recipient: string) =>
    own.db('mails').where({ recipient }).whereNot({ status: 'withheld' });

  const person = (claims: Record<string, unknown> = {}) =>
    app.services.users.create(tenant.actor, { email: newAddress(), password: GOOD_PASSWORD, claims });

  const tries = (email: string, password: string, isKnownBrowser = false) =>
    app.services.passwordSignIn.verify(stranger(), { email, password, isKnownBrowser });

  async function guessAt(email: string): Promise<void> {
    for (let failures = 0; failures < LIMIT; failures += 1) await tries(email, 'not this one at all');
  }

  async function locked(claims: Record<string, unknown> = {}) {
    const user = await person(claims);
    await guessAt(user.email.toUpperCase());
    const mail = await sink.mailTo(user.email);
    return { user, mail, link: linkIn(mail) };
  }

  it('is told of to its owner, in their language and not in that of who guessed', async () => {
    const { user, mail } = await locked({ locale: 'de-AT' });

    assert.equal(await statusOf(user.id), 'locked');
    assert.match(String(mail.parsed.subject), /^Ihr Konto bei .* wurde gesperrt$/);
    assert.match(String(mail.parsed.text), new RegExp(`Konto ${user.email} `));
    assert.equal((await mailsTo(user.email)).length, 1);
  });

  it('is opened by the button of the link’s page, on any device, and can be signed in to then', async () => {
    const { user, link } = await locked();
    const refused = await tries(user.email, GOOD_PASSWORD);
    const agent = createUserAgent();

    const page = await agent.get(link);
    const whileLooking = await statusOf(user.id);
    const end = await agent.follow(await agent.submit(page, '/link'), tenant.issuer);

    assert.equal(refused.ok, false);
    assert.match(page.body, /Unlock your account/);
    assert.equal(page.body.includes('type="password"'), false);
    assert.equal(whileLooking, 'locked');
    assert.match(end.body, /Your account is unlocked/);
    assert.equal(await statusOf(user.id), 'active');
    assert.equal((await tries(user.email, GOOD_PASSWORD)).ok, true);
    const [event] = await own.db('events').where({ type: 'user.unlocked', target_id: user.id });
    assert.deepEqual([event.reason, event.actor_id], ['mail', user.id]);
  });

  it('keeps the link as a hash', async () => {
    const { user, link } = await locked();

    const rows = await own.db('one_time_tokens').where({ user_id: user.id, purpose: 'unlock' });

    const stored = JSON.stringify(rows.map((row) => ({ ...row, token_hash: row.token_hash.toString() })));
    assert.equal(rows.length, 1);
    assert.equal(rows[0].token_hash.length, 32);
    assert.equal(stored.includes(tokenOf(link)), false);
  });

  it('is opened once by a link, however many bring it at once', async () => {
    const { link } = await locked();

    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => app.services.accountLock.unlockByLink(stranger(), tokenOf(link))),
    );

    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  it('is not opened by a link that is a week old', async () => {
    const { user, link } = await locked();
    await own
      .db('mails')
      .where({ recipient: user.email })
      .update({ status: 'sent', sent_at: own.db.raw("now() - interval '7 days 1 second'") });

    const page = await createUserAgent().get(link);

    assert.equal(page.status, 410);
    await assert.rejects(app.services.accountLock.unlockByLink(stranger(), tokenOf(link)), { status: 410 });
    assert.equal(await statusOf(user.id), 'locked');
  });

  it('stays closed where an administrator locked it since, or its address is another', async () => {
    const [byAdmin, moved] = [await locked(), await locked()];
    await app.services.users.lock(tenant.actor, byAdmin.user.id, { cause: 'administrator' });
    await app.services.users.changeEmail(tenant.actor, moved.user.id, newAddress());

    for (const { user, link } of [byAdmin, moved]) {
      await assert.rejects(app.services.accountLock.unlockByLink(stranger(), tokenOf(link)), { status: 410 });
      assert.equal(await statusOf(user.id), 'locked');
    }
  });

  it('fills nobody’s mailbox: of all locks of a day three are told', async () => {
    const user = await person();

    for (let locks = 0; locks < 6; locks += 1) {
      await guessAt(user.email);
      assert.equal(await statusOf(user.id), 'locked');
      await app.services.users.unlock(tenant.actor, user.id, { reason: 'administrator' });
    }

    assert.equal((await mailsTo(user.email)).length, 3);
  });

  it('is told of once, however many guesses are its last', async () => {
    const user = await person();

    await Promise.all(
      Array.from({ length: 8 }, () =>
        app.services.accountLock.lock(stranger(), { userId: user.id, email: user.email }, { seconds: 60 }),
      ),
    );

    assert.equal((await mailsTo(user.email)).length, 1);
  });

  it('is alike for an address that nobody has, but that nothing is sent', async () => {
    const email = newAddress();

    await guessAt(email);

    const [mail] = await own.db('mails').where({ recipient: email });
    assert.equal((await mailsTo(email)).length, 0);
    assert.deepEqual([mail.template, mail.status], ['account_locked', 'withheld']);
    const trail = await own.db('events').where({ type: 'auth.suspicious_activity', target_id: null });
    assert.deepEqual(
      trail.map(({ reason }) => reason),
      ['guessing'],
    );
    assert.deepEqual(await tries(email, GOOD_PASSWORD), {
      ok: false,
      reason: 'throttled',
      retryAfterSeconds: 2_592_000,
    });
  });

  it('is opened by a password reset, by its link even while nothing typed is judged', async () => {
    const { user } = await locked();
    const request = { email: user.email, binding: 'a-browser', locale: 'en' };
    const before = sink.mails.length;
    await app.services.passwordReset.start(stranger(), request);
    const mail = await sink.mailTo(user.email, before);

    const typed = await app.services.passwordReset.check(stranger(), {
      binding: 'a-browser',
      code: codeIn(mail),
    });
    const agent = createUserAgent();
    const page = await agent.get(linkIn(mail));
    await agent.submit(page, '/link', { password: NEW_PASSWORD });

    assert.equal(!typed.ok && typed.reason, 'throttled');
    assert.equal(await statusOf(user.id), 'active');
    assert.equal((await tries(user.email, NEW_PASSWORD)).ok, true);
  });

  it('lets its owner in by a mailed code: by its link, or typed in a browser of theirs', async () => {
    for (const way of ['link', 'known browser', 'new browser'] as const) {
      const { user } = await locked();
      const { signInCode } = app.services;
      const binding = randomBytes(8).toString('hex');
      const before = sink.mails.length;
      await signInCode.start(stranger(), { email: user.email, binding, locale: 'en' });
      const mail = await sink.mailTo(user.email, before);
      const request = { email: user.email, binding, code: codeIn(mail) };

      const outcome =
        way === 'link'
          ? await signInCode.verifyLink(stranger(), { binding, token: tokenOf(linkIn(mail)) })
          : await signInCode.verify(stranger(), { ...request, isKnownBrowser: way === 'known browser' });

      if (way === 'new browser') {
        assert.deepEqual([outcome && 'reason' in outcome && outcome.reason], ['throttled']);
        assert.equal(await statusOf(user.id), 'locked');
      } else {
        assert.ok(outcome);
        assert.equal(await statusOf(user.id), 'active');
        assert.equal((await tries(user.email, GOOD_PASSWORD)).ok, true);
      }
    }
  });

  it('mails no code to who was locked by an administrator', async () => {
    const user = await person();
    await app.services.users.lock(tenant.actor, user.id, { cause: 'administrator' });

    const request = { email: user.email, binding: 'another', locale: 'en' };
    assert.deepEqual(await app.services.signInCode.start(stranger(), request), { ok: true });

    assert.equal((await mailsTo(user.email)).length, 0);
  });

  it('is told on the page of a code that waits that the link of the mail works', async () => {
    const rp = await createRelyingParty(app, tenant);
    await guessAt(rp.user.email);
    await sink.mailTo(rp.user.email);
    const before = sink.mails.length;
    const agent = createUserAgent();
    const first = await agent.follow(await agent.get(rp.authorizationUrl()), tenant.issuer);
    await agent.submit(first, '/identifier', { username: rp.user.email });
    const sent = await agent.submit(await agent.get(`${first.url}/email-code`), '/email-code');
    const page = await agent.follow(sent, tenant.issuer);
    const mail = await sink.mailTo(rp.user.email, before);

    const refused = await agent.submit(page, '/code', { code: codeIn(mail) });
    const shown = await agent.follow(refused, tenant.issuer);
    const opened = await agent.get(linkIn(mail));
    const back = await agent.follow(await agent.submit(opened, '/link'), tenant.issuer);

    assert.match(shown.body, /There were too many attempts\. Wait .*, or open the link in the mail\./);
    assert.match(back.body, /Allow|consent/i);
    assert.equal(await statusOf(rp.user.id), 'active');
  });

  it('is locked as well where no mail can be sent', async () => {
    const mailless = await startTestApp({ db: own.db, env: { ...LIMITS, NODE_ENV: 'test' } });
    const user = await person();
    try {
      await mailless.services.accountLock.lock(
        stranger(),
        { userId: user.id, email: user.email },
        { seconds: 60 },
      );

      assert.equal(await statusOf(user.id), 'locked');
    } finally {
      await mailless.close();
    }
  });
});
