import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestApp } from '../support/app.ts';
import { codeIn } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { createApiMailWorld, withoutMail } from './api-mail-world.ts';
import type { ApiMailWorld } from './api-mail-world.ts';
import { createApiWorld } from './api-world.ts';
import type { ApiWorld } from './api-world.ts';

const NEW_PASSWORD = 'velvet harbour tundra nine';

describe('API sign-up and recovery', () => {
  let mailWorld: ApiMailWorld;
  let app: TestApp;
  let sink: SmtpSink;
  let world: ApiWorld;

  before(async () => {
    mailWorld = await createApiMailWorld();
    ({ app, sink, world } = mailWorld);
  });

  after(() => mailWorld.close());

  const post = (path: string, body: object) => world.call('POST', path, { body });
  const freshEmail = () => `${randomBytes(6).toString('hex')}@example.com`;

  it('makes an account by the code that was mailed, which can sign in then', async () => {
    const email = freshEmail();
    const { status, body: sent } = await post('/auth/signup', { email });
    const code = codeIn(await sink.mailTo(email));

    const made = await post('/auth/verify-email', {
      request_token: sent.request_token,
      code,
      password: NEW_PASSWORD,
      profile: { name: 'Ana Lima' },
    });

    assert.equal(status, 202);
    assert.equal(made.status, 200, JSON.stringify(made.body));
    assert.equal(made.body.email, email);
    assert.equal(made.body.email_verified, true);
    const { status: signedIn, body: tokens } = await post('/auth/login', { email, password: NEW_PASSWORD });
    assert.equal(signedIn, 200);
    const me = await world.call('GET', '/auth/me', { token: tokens.access_token });
    assert.deepEqual(me.body.user.profile, { name: 'Ana Lima' });
  });

  it('takes a better password after one that was refused, and no code twice', async () => {
    const email = freshEmail();
    const { body: sent } = await post('/auth/signup', { email });
    const proof = { request_token: sent.request_token, code: codeIn(await sink.mailTo(email)) };

    const weak = await post('/auth/verify-email', { ...proof, password: 'short' });
    const good = await post('/auth/verify-email', { ...proof, password: NEW_PASSWORD });
    const again = await post('/auth/verify-email', { ...proof, password: NEW_PASSWORD });

    assert.deepEqual([weak.status, weak.body.code], [400, 'password.unacceptable']);
    assert.ok(weak.body.errors.length > 0);
    assert.equal(good.status, 200);
    assert.deepEqual([again.status, again.body.code], [410, 'sign_up.not_proved']);
  });

  it('sends another code on request, and takes the last one alone', async () => {
    const email = freshEmail();
    const { body: sent } = await post('/auth/signup', { email });
    const first = codeIn(await sink.mailTo(email));
    const before = sink.mails.length;

    const { status } = await post('/auth/resend-verification', { email, request_token: sent.request_token });
    const second = codeIn(await sink.mailTo(email, before));
    const attempt = (code: string) =>
      post('/auth/verify-email', { request_token: sent.request_token, code, password: NEW_PASSWORD });

    assert.equal(status, 202);
    if (first !== second) assert.equal((await attempt(first)).body.code, 'auth.code_wrong');
    assert.equal((await attempt(second)).status, 200);
  });

  it('binds a code to whoever asked for it', async () => {
    const email = freshEmail();
    await post('/auth/signup', { email });
    const { body: own } = await post('/auth/signup', { email: freshEmail() });

    const { status, body } = await post('/auth/verify-email', {
      request_token: own.request_token,
      code: codeIn(await sink.mailTo(email)),
      password: NEW_PASSWORD,
    });

    assert.deepEqual([status, body.code], [400, 'auth.code_wrong']);
  });

  it('answers sign-up alike for an address that has an account', async () => {
    const { email: taken } = await world.person();

    const answers = [
      await post('/auth/signup', { email: taken }),
      await post('/auth/signup', { email: freshEmail() }),
    ];

    for (const { status, body } of answers) {
      assert.equal(status, 202);
      assert.deepEqual(Object.keys(body).toSorted(), ['expires_in', 'request_token']);
      assert.match(body.request_token, /^[\w-]{43}$/);
    }
  });

  it('sets no password of an account that was deleted since the code was sent', async () => {
    const { id, email } = await world.person();
    const { body: sent } = await post('/auth/forgot-password', { email });
    const code = codeIn(await sink.mailTo(email));
    await app.services.users.delete(world.actor, id);

    const { status, body } = await post('/auth/reset-password', {
      request_token: sent.request_token,
      code,
      password: NEW_PASSWORD,
    });

    assert.deepEqual([status, body.code], [410, 'recovery.not_proved']);
  });

  it('lets nobody sign up where the tenant does not', async () => {
    const own = await createApiWorld(app);
    await app.services.tenants.update(own.actor, own.tenant.slug, { settings: { signUp: 'off' } });
    await app.registry.refresh();

    const { status, body } = await own.call('POST', '/auth/signup', { body: { email: freshEmail() } });

    assert.deepEqual([status, body.code], [403, 'sign_up.closed']);
  });

  for (const [ask, set] of [
    ['/auth/forgot-password', '/auth/reset-password'],
    ['/auth/password/reset/initiate', '/auth/password/reset/complete'],
  ] as const) {
    it(`sets a new password by ${ask} and ${set}, and ends what there was`, async () => {
      const { email, token, refreshToken } = await world.person();
      const before = sink.mails.length;
      const { body: sent } = await post(ask, { email });
      const proof = { request_token: sent.request_token, code: codeIn(await sink.mailTo(email, before)) };

      const { status } = await post(set, { ...proof, password: NEW_PASSWORD });

      assert.equal(status, 204);
      assert.equal((await world.login(email)).status, 401);
      assert.equal((await post('/auth/login', { email, password: NEW_PASSWORD })).status, 200);
      assert.equal((await world.call('GET', '/auth/me', { token })).status, 401);
      assert.equal((await post('/auth/refresh', { refresh_token: refreshToken })).status, 401);
      assert.equal((await post(set, { ...proof, password: NEW_PASSWORD })).body.code, 'recovery.not_proved');
    });
  }

  it('answers alike for an address that nobody has, to which nothing is sent', async () => {
    const nobody = freshEmail();
    const { email } = await world.person();

    const known = await post('/auth/forgot-password', { email });
    const unknown = await post('/auth/forgot-password', { email: nobody });
    const guess = await post('/auth/reset-password', {
      request_token: unknown.body.request_token,
      code: '000000',
      password: NEW_PASSWORD,
    });

    assert.deepEqual([known.status, unknown.status], [202, 202]);
    assert.deepEqual(Object.keys(known.body), Object.keys(unknown.body));
    assert.deepEqual([guess.status, guess.body.code], [400, 'auth.code_wrong']);
    await sink.mailTo(email);
    assert.ok(!sink.mails.some(({ recipients }) => recipients.includes(nobody)));
  });

  it('says so where no mail can be sent, whoever asks', async () => {
    await withoutMail(async (own) => {
      const { email: known } = await own.person();
      for (const path of [
        '/auth/signup',
        '/auth/resend-verification',
        '/auth/forgot-password',
        '/auth/password/reset/initiate',
      ]) {
        for (const email of [known, freshEmail()]) {
          const { status, body } = await own.call('POST', path, { body: { email } });
          assert.deepEqual([path, status, body.code], [path, 503, 'auth.mail_unavailable']);
        }
      }
    });
  });

  it('judges no more than five guesses at a code', async () => {
    const { email } = await world.person();
    const before = sink.mails.length;
    const { body: sent } = await post('/auth/forgot-password', { email });
    const code = codeIn(await sink.mailTo(email, before));
    const wrong = code === '123456' ? '654321' : '123456';
    const attempt = (guess: string) =>
      post('/auth/reset-password', {
        request_token: sent.request_token,
        code: guess,
        password: NEW_PASSWORD,
      });

    const guesses = await Promise.all(Array.from({ length: 20 }, () => attempt(wrong)));
    const { status } = await attempt(code);

    assert.equal(guesses.filter(({ body }) => body.code === 'auth.code_wrong').length, 5);
    assert.equal(status, 410);
  });
});
