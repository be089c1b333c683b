import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { GOOD_PASSWORD } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { codeIn } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { createApiMailWorld } from './api-mail-world.ts';
import type { ApiMailWorld } from './api-mail-world.ts';
import type { ApiWorld } from './api-world.ts';

const OTHER_PASSWORD = 'velvet harbour tundra nine';

describe('API verification of an address', () => {
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
  const userOf = (id: string) => app.services.users.get(world.actor, id);
  const resend = (email: string, rest = {}) => post('/auth/resend-verification', { email, ...rest });
  const verify = (proof: object, rest = {}) => post('/auth/verify-email', { ...proof, ...rest });

  async function unverified(rest: { status?: 'pending' } = {}) {
    return app.services.users.create(world.actor, { email: freshEmail(), password: GOOD_PASSWORD, ...rest });
  }

  /** Asks for a code and reads it. */
  async function proofFor(email: string, rest = {}) {
    const before = sink.mails.length;
    const { status, body } = await resend(email, rest);
    assert.equal(status, 202, JSON.stringify(body));
    return { request_token: body.request_token, code: codeIn(await sink.mailTo(email, before)) };
  }

  it('verifies the address of an account there is, and answers nothing of its profile', async () => {
    const { id, email } = await unverified();
    const proof = await proofFor(email);

    const { status, body } = await verify(proof);

    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.id, body.email_verified, body.status], [id, true, 'active']);
    assert.equal('profile' in body, false);
    assert.ok((await userOf(id)).emailVerifiedAt);
    const again = await verify(proof);
    assert.deepEqual([again.status, again.body.code], [410, 'auth.code_expired']);
  });

  it('makes an account active that was pending', async () => {
    const { email } = await unverified({ status: 'pending' });

    const { body } = await verify(await proofFor(email));

    assert.equal(body.status, 'active');
    assert.equal((await world.login(email)).status, 200);
  });

  it('answers alike for addresses that are verified, disabled or nobody’s, to which nothing is sent', async () => {
    const { email: open } = await unverified();
    const { id: closed, email: disabled } = await unverified();
    await app.services.users.disable(world.actor, closed);
    const { email: verified } = await app.services.users.create(world.actor, {
      email: freshEmail(),
      emailVerified: true,
    });
    const silent = [verified, disabled, freshEmail()];

    const answers = [];
    for (const email of [open, ...silent]) {
      const sent = await resend(email);
      const proof = { request_token: sent.body.request_token, code: '000000' };
      const guess = await verify(proof);
      const odd = await verify(proof, { password: OTHER_PASSWORD });
      answers.push([sent.status, Object.keys(sent.body), guess.status, guess.body.code, odd.body.code]);
    }

    assert.deepEqual(answers[0], [
      202,
      ['request_token', 'expires_in'],
      400,
      'auth.code_wrong',
      'auth.not_a_sign_up',
    ]);
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    await sink.mailTo(open);
    assert.deepEqual(
      sink.mails.flatMap(({ recipients }) => recipients).filter((email) => silent.includes(email)),
      [],
    );
  });

  it('sends another code for what the token is of, and takes the last one alone', async () => {
    const { id, email } = await unverified();
    const first = await proofFor(email);

    const second = await proofFor(email, { request_token: first.request_token });

    assert.equal(second.request_token, first.request_token);
    if (first.code !== second.code) assert.equal((await verify(first)).body.code, 'auth.code_wrong');
    assert.equal((await verify(second)).status, 200);
    assert.ok((await userOf(id)).emailVerifiedAt);
  });

  it('sets no password by a code that proves an address, and uses it for nothing else', async () => {
    const { email } = await unverified();
    const proof = await proofFor(email);

    const wanted = await verify(proof, { password: OTHER_PASSWORD });
    const profile = await verify(proof, { profile: { name: 'Eve' } });
    const reset = await post('/auth/reset-password', { ...proof, password: OTHER_PASSWORD });

    for (const { status, body } of [wanted, profile])
      assert.deepEqual([status, body.code], [400, 'auth.not_a_sign_up']);
    assert.deepEqual([reset.status, reset.body.code], [410, 'recovery.not_proved']);
    assert.equal((await post('/auth/login', { email, password: OTHER_PASSWORD })).status, 401);
    assert.equal((await verify(proof)).status, 200);
  });

  it('asks for the password of a sign-up without using up its code', async () => {
    const email = freshEmail();
    const { body: sent } = await post('/auth/signup', { email });
    const proof = { request_token: sent.request_token, code: codeIn(await sink.mailTo(email)) };

    const { status, body } = await verify(proof);

    assert.deepEqual([status, body.code], [400, 'auth.password_required']);
    assert.equal((await verify(proof, { password: OTHER_PASSWORD })).status, 200);
  });

  it('judges no more than five guesses at a code', async () => {
    const { id, email } = await unverified();
    const { code, ...request } = await proofFor(email);
    const wrong = { ...request, code: code === '123456' ? '654321' : '123456' };

    const guesses = await Promise.all(Array.from({ length: 20 }, () => verify(wrong)));
    const { status } = await verify({ ...request, code });

    assert.equal(guesses.filter(({ body }) => body.code === 'auth.code_wrong').length, 5);
    assert.equal(status, 410);
    assert.equal((await userOf(id)).emailVerifiedAt, null);
  });

  it('verifies nothing for an account that was deleted or got another address meanwhile', async () => {
    const deleted = await unverified();
    const moved = await unverified();
    const proofs = [await proofFor(deleted.email), await proofFor(moved.email)];
    await app.services.users.delete(world.actor, deleted.id);
    await app.services.users.update(world.actor, moved.id, { email: freshEmail() });

    for (const proof of proofs) {
      const { status, body } = await verify(proof);
      assert.deepEqual([status, body.code], [410, 'auth.code_expired']);
    }
    assert.equal((await userOf(moved.id)).emailVerifiedAt, null);
  });
});
