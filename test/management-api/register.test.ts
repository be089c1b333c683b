import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { newId } from '../../src/lib/ids.ts';
import { GOOD_PASSWORD } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { linkIn } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { createUserAgent } from '../support/user-agent.ts';
import { createApiMailWorld, withoutMail } from './api-mail-world.ts';
import type { ApiMailWorld } from './api-mail-world.ts';
import type { ApiWorld, Person } from './api-world.ts';

describe('API registration by an administrator', () => {
  let mailWorld: ApiMailWorld;
  let app: TestApp;
  let sink: SmtpSink;
  let world: ApiWorld;
  let administrator: Person;

  before(async () => {
    mailWorld = await createApiMailWorld();
    ({ app, sink, world } = mailWorld);
    administrator = await world.person({ isAdministrator: true });
  });

  after(() => mailWorld.close());

  const freshEmail = () => `${randomBytes(6).toString('hex')}@example.com`;
  const register = (body: object, headers: Record<string, string> = {}) =>
    world.call('POST', '/auth/register', { token: administrator.token, body, headers });

  async function accept(link: string) {
    const agent = createUserAgent();
    return agent.submit(await agent.get(link), '/link', { password: GOOD_PASSWORD });
  }

  it('invites somebody, who chooses a password and can sign in then', async () => {
    const email = freshEmail();

    const { status, body } = await register({ email, invite: true, profile: { name: 'Ana Lima' } });
    const { status: early } = await world.login(email);
    await accept(linkIn(await sink.mailTo(email)));
    const { status: signedIn, body: tokens } = await world.login(email);

    assert.equal(status, 201, JSON.stringify(body));
    assert.deepEqual(
      [body.status, body.email_verified, body.profile],
      ['pending', false, { name: 'Ana Lima' }],
    );
    assert.equal(early, 401);
    assert.equal(signedIn, 200);
    const me = await world.call('GET', '/auth/me', { token: tokens.access_token });
    assert.equal(me.body.user.id, body.id);
    assert.equal(me.body.user.email_verified, true);
    const event = await app.db('events').where({ type: 'user.invited', target_id: body.id }).first();
    assert.equal(event.actor_id, administrator.id);
  });

  it('writes the mail in the language that is asked for, or the tenant’s', async () => {
    const [german, english] = [freshEmail(), freshEmail()];

    await register({ email: german, invite: true, locale: 'de' });
    await register({ email: english, invite: true });

    assert.match(String((await sink.mailTo(german)).parsed.html), /<html lang="de"/);
    assert.match(String((await sink.mailTo(english)).parsed.html), /<html lang="en"/);
  });

  it('sends who is pending a new link, which ends the one before', async () => {
    const email = freshEmail();
    const first = await register({ email, invite: true, profile: { name: 'Ana' } });
    const old = linkIn(await sink.mailTo(email));
    const before = sink.mails.length;

    const second = await register({ email: email.toUpperCase(), invite: true, profile: { name: 'Eve' } });
    const link = linkIn(await sink.mailTo(email, before));

    assert.equal(second.status, 201);
    assert.equal(second.body.id, first.body.id);
    assert.deepEqual(second.body.profile, { name: 'Ana' });
    assert.equal((await fetch(old)).status, 410);
    assert.equal((await accept(link)).status, 303);
  });

  it('sends one mail for a request that is repeated with its key', async () => {
    const email = freshEmail();
    const key = { 'idempotency-key': newId() };

    const first = await register({ email, invite: true }, key);
    const again = await register({ email, invite: true }, key);

    assert.deepEqual(again.body, first.body);
    assert.equal(again.headers.get('idempotency-replayed'), 'true');
    const mails = await app.db('mails').where({ recipient: email }).count();
    assert.equal(Number(mails[0]?.['count']), 1);
  });

  it('invites nobody who has an account', async () => {
    const { email } = await world.person();

    const { status, body } = await register({ email, invite: true });

    assert.deepEqual([status, body.code], [409, 'invitation.not_pending']);
  });

  it('invites nobody where no mail can be sent, and makes nobody then', async () => {
    await withoutMail(async (own, silent) => {
      const { token } = await own.person({ isAdministrator: true });
      const email = freshEmail();

      const { status, body } = await own.call('POST', '/auth/register', {
        token,
        body: { email, invite: true },
      });

      assert.deepEqual([status, body.code], [409, 'invitation.no_mail']);
      assert.equal(await silent.services.users.findByEmail(own.actor, email), undefined);
    });
  });

  it('makes somebody with a temporary password, by the rules for passwords', async () => {
    const email = freshEmail();

    const weak = await register({ email, password: 'password1234567' });
    const made = await register({ email, password: GOOD_PASSWORD, email_verified: true });

    assert.deepEqual([weak.status, weak.body.code], [400, 'password.unacceptable']);
    assert.equal(weak.body.errors[0].pointer, '#/password');
    assert.deepEqual([made.status, made.body.status, made.body.email_verified], [201, 'active', true]);
    const { status, body } = await world.login(email);
    assert.deepEqual([status, body.code], [403, 'auth.password_change_required']);
    assert.equal(sink.mails.filter(({ recipients }) => recipients.includes(email)).length, 0);
  });

  it('makes somebody without a password, who cannot sign in', async () => {
    const email = freshEmail();

    const { status, body } = await register({ email });

    assert.deepEqual([status, body.status], [201, 'active']);
    assert.equal((await world.login(email)).status, 401);
  });

  it('refuses what does not go together, field by field', async () => {
    const email = freshEmail();
    const pointersOf = async (body: object) => {
      const answer = await register(body);
      assert.deepEqual([answer.status, answer.body.code], [400, 'http.invalid_parameters']);
      return answer.body.errors.map(({ pointer }: { pointer: string }) => pointer);
    };

    assert.deepEqual(
      await pointersOf({
        email,
        invite: true,
        password: GOOD_PASSWORD,
        status: 'active',
        email_verified: true,
      }),
      ['#/password', '#/status', '#/email_verified'],
    );
    assert.deepEqual(await pointersOf({ email, locale: 'de' }), ['#/locale']);
    assert.equal(await app.services.users.findByEmail(world.actor, email), undefined);
  });

  it('refuses addresses that are none and that are taken', async () => {
    for (const rest of [{}, { invite: true }]) {
      const { status, body } = await register({ email: 'no address', ...rest });
      assert.deepEqual([status, body.code], [400, 'user.email_invalid']);
    }
    const { status, body } = await register({ email: administrator.email });
    assert.deepEqual([status, body.code], [409, 'user.email_taken']);
  });

  it('refuses a profile that cannot be stored', async () => {
    const { status, body } = await register({ email: freshEmail(), profile: { name: 5 } });

    assert.equal(status, 400);
    assert.equal(body.errors[0].pointer, '#/profile/name');
  });

  it('is for administrators alone', async () => {
    const { token } = await world.person();
    const body = { email: freshEmail(), invite: true };

    assert.equal((await world.call('POST', '/auth/register', { token, body })).status, 403);
    assert.equal((await world.call('POST', '/auth/register', { body })).status, 401);
  });
});
