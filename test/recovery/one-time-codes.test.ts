import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { startMailApp } from '../support/mail-app.ts';
import type { MailApp } from '../support/mail-app.ts';
import { codeIn, linkIn } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';

const NEW_PASSWORD = 'seven wandering lighthouses hum';

describe('one-time codes', () => {
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

  const reset = () => app.services.passwordReset;
  const tokenOf = (link: string) => new URL(link).searchParams.get('token') ?? '';
  const wrong = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

  async function asked(binding = randomBytes(8).toString('hex')) {
    const user = await person();
    const { email } = user;
    assert.deepEqual(await reset().start(anyone(), { email, binding, locale: 'en' }), { ok: true });
    const mail = await sink.mailTo(email);
    return { user, binding, code: codeIn(mail), token: tokenOf(linkIn(mail)) };
  }

  it('are tried five times at most, however many try at once', async () => {
    const { binding, code } = await asked();

    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () => reset().check(anyone(), { binding, code: wrong(code) })),
    );
    const late = await reset().check(anyone(), { binding, code });

    const reasons = outcomes.map((outcome) => (outcome.ok ? 'right' : outcome.reason));
    assert.equal(reasons.filter((reason) => reason === 'wrong').length, 5);
    assert.equal(reasons.filter((reason) => reason === 'spent').length, 45);
    assert.deepEqual(late, { ok: false, reason: 'spent' });
  });

  it('are right once, however many bring them at once', async () => {
    const { binding, code } = await asked();

    const outcomes = await Promise.all(
      Array.from({ length: 5 }, () => reset().check(anyone(), { binding, code })),
    );

    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
  });

  it('set one password, however many send one at once', async () => {
    const { user, binding, code } = await asked();
    await reset().check(anyone(), { binding, code });

    const passwords = Array.from({ length: 5 }, (_, index) => `${NEW_PASSWORD} ${index}`);
    const outcomes = await Promise.allSettled(
      passwords.map((password) =>
        reset().complete(anyone(), { binding }, { password, endsAccess: true, locale: 'en' }),
      ),
    );

    const done = outcomes.filter(({ status }) => status === 'fulfilled');
    const events = await app.db('events').where({ type: 'user.password_reset', target_id: user.id });
    assert.equal(done.length, 1);
    assert.equal(events.length, 1);
  });

  /** Codes for the same person, each in a browser of its own where it was proved. */
  async function provedTwice() {
    const user = await person();
    const bindings = ['one', 'other'].map((name) => `${name} ${randomBytes(8).toString('hex')}`);
    for (const binding of bindings) {
      const before = sink.mails.length;
      await reset().start(anyone(), { email: user.email, binding, locale: 'en' });
      const code = codeIn(await sink.mailTo(user.email, before));
      assert.equal((await reset().check(anyone(), { binding, code })).ok, true);
    }
    const choose = (binding: string) =>
      reset().complete(
        anyone(),
        { binding },
        { password: `${NEW_PASSWORD} ${binding}`, endsAccess: true, locale: 'en' },
      );
    return { user, bindings, choose };
  }

  it('end with a new password also where they were proved already', async () => {
    const { bindings, choose } = await provedTwice();
    const [first = '', second = ''] = bindings;

    await choose(first);

    await assert.rejects(choose(second), { code: 'recovery.not_proved' });
  });

  it('of one person choose one password where several are used at once, and nobody waits in vain', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { user, bindings, choose } = await provedTwice();

      const outcomes = await Promise.allSettled(bindings.map(choose));

      const refused = outcomes.flatMap((outcome) =>
        outcome.status === 'rejected' ? [(outcome.reason as { code?: string }).code] : [],
      );
      const events = await app.db('events').where({ type: 'user.password_reset', target_id: user.id });
      assert.deepEqual(refused, ['recovery.not_proved']);
      assert.equal(events.length, 1);
    }
  });

  it('are worth nothing in another browser, and for another purpose', async () => {
    const { binding, code, token } = await asked();

    const elsewhere = await reset().check(anyone(), { binding: 'another', code });
    const otherwise = await app.services.signUp.check(anyone(), { binding, code });
    const foreignLink = await reset().checkLink(anyone(), { binding: 'another', token });

    assert.deepEqual(elsewhere, { ok: false, reason: 'spent' });
    assert.deepEqual(otherwise, { ok: false, reason: 'spent' });
    assert.equal(foreignLink, false);
    await assert.rejects(app.services.emailVerification.confirmLink(anyone(), token), { status: 410 });
  });

  it('are worth nothing in another tenant', async () => {
    const { binding, code, token } = await asked();
    const other = { ...(await app.tenant()).actor, type: 'anonymous' as const };

    assert.deepEqual(await reset().check(other, { binding, code }), { ok: false, reason: 'spent' });
    await assert.rejects(
      reset().complete(other, { token }, { password: NEW_PASSWORD, endsAccess: true, locale: 'en' }),
      { status: 410 },
    );
  });

  it('end ten minutes after the mail was sent, and say so to who has the right one', async () => {
    const { binding, code, token } = await asked();
    await app.db('mails').update({
      status: 'sent',
      sent_at: app.db.raw("now() - interval '601 seconds'"),
    });

    const wrongOne = await reset().check(anyone(), { binding, code: wrong(code) });
    const rightOne = await reset().check(anyone(), { binding, code });

    assert.deepEqual(wrongOne, { ok: false, reason: 'wrong' });
    assert.deepEqual(rightOne, { ok: false, reason: 'expired' });
    await assert.rejects(
      reset().complete(anyone(), { token }, { password: NEW_PASSWORD, endsAccess: true, locale: 'en' }),
      { status: 410 },
    );
  });

  it('do not grow old while their mail waits', async () => {
    const { binding, code } = await asked();
    await app.db('mails').update({ status: 'queued', sent_at: null, next_attempt_at: '2099-01-01' });
    await app
      .db('one_time_tokens')
      .whereNull('consumed_at')
      .update({ created_at: app.db.raw("now() - interval '1 hour'") });

    assert.equal((await reset().check(anyone(), { binding, code })).ok, true);
  });

  it('end when another is asked for in the same place', async () => {
    const { user, binding, code } = await asked();
    const before = sink.mails.length;
    await reset().start(anyone(), { email: user.email, binding, locale: 'en' });
    const next = codeIn(await sink.mailTo(user.email, before));

    const old = code === next ? { ok: false } : await reset().check(anyone(), { binding, code });
    const fresh = await reset().check(anyone(), { binding, code: next });

    assert.equal(old.ok, false);
    assert.equal(fresh.ok, true);
  });

  it('are not in the database as they are', async () => {
    const { binding, code, token } = await asked();

    const rows = await app.db('one_time_tokens').whereNotNull('code_mac');
    const everything = JSON.stringify(rows.map((row) => ({ ...row, text: String(row.code_mac) })));

    assert.ok(rows.length > 0);
    for (const secret of [code, token, binding]) assert.equal(everything.includes(`"${secret}"`), false);
  });

  it('are taken with blanks and dashes in them, as people copy them', async () => {
    const { binding, code } = await asked();

    const typed = ` ${code.slice(0, 3)}-${code.slice(3)} `;

    assert.equal((await reset().check(anyone(), { binding, code: typed })).ok, true);
  });

  it('do nothing for an account whose address has changed since', async () => {
    const { user, binding, code } = await asked();
    await reset().check(anyone(), { binding, code });
    await app.services.users.changeEmail(tenant.actor, user.id, `new-${user.email}`);

    await assert.rejects(
      reset().complete(anyone(), { binding }, { password: NEW_PASSWORD, endsAccess: true, locale: 'en' }),
      { status: 410 },
    );
  });

  it('open an account that was locked for failures, and none that an administrator closed', async () => {
    const [locked, disabled] = [await asked(), await asked()];
    await app.services.users.lock(tenant.actor, locked.user.id, { cause: 'guessing' });
    await app.services.users.disable(tenant.actor, disabled.user.id);

    for (const { binding, code } of [locked, disabled]) await reset().check(anyone(), { binding, code });
    const choice = { password: NEW_PASSWORD, endsAccess: true, locale: 'en' };
    await reset().complete(anyone(), { binding: locked.binding }, choice);
    const refused = reset().complete(anyone(), { binding: disabled.binding }, choice);

    await assert.rejects(refused, { status: 410 });
    assert.equal((await app.services.users.get(tenant.actor, locked.user.id)).status, 'active');
    assert.equal((await app.services.users.get(tenant.actor, disabled.user.id)).status, 'disabled');
  });

  it('count with the failures of the password where they sign in', async () => {
    const limited = await startTestApp({
      db: app.db,
      env: { SMTP_URL: sink.url, GATEHOUSE_RATE_LIMITS: 'on', GATEHOUSE_SIGN_IN_ATTEMPTS: '3' },
    });
    const user = await person();
    const { passwordSignIn, signInCode } = limited.services;
    const binding = 'a-browser';
    const before = sink.mails.length;
    await signInCode.start(anyone(), { email: user.email, binding, locale: 'en' });
    const code = codeIn(await sink.mailTo(user.email, before));

    for (let failures = 0; failures < 3; failures += 1)
      await passwordSignIn.verify(anyone(), { email: user.email, password: 'not this one at all' });
    const outcome = await signInCode.verify(anyone(), { email: user.email.toUpperCase(), binding, code });

    assert.equal(outcome.ok, false);
    assert.equal(!outcome.ok && outcome.reason, 'throttled');
    await limited.close();
  });
});
