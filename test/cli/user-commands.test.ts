import assert from 'node:assert/strict';
import { createSignInAttempts } from '../../src/attempts/sign-in-attempts.ts';
import { cliBench } from './support.ts';
import type { CliBench } from './support.ts';

const PASSWORD = 'seven wandering lighthouses hum';

describe('gatehouse user', () => {
  let cli: CliBench;

  before(async () => {
    cli = await cliBench();
  });

  after(async () => {
    await cli.close();
  });

  it('creates a user with the password on standard input, which is nowhere in clear', async () => {
    const { exitCode, stdout, stderr } = await cli.run(
      ['user', 'create', 'ada@example.com', '--name', 'Ada Lovelace', '--email-verified', '--json'],
      { stdin: `${PASSWORD}\n` },
    );

    const user = JSON.parse(stdout);
    assert.equal(exitCode, 0);
    assert.partialDeepStrictEqual(user, { email: 'ada@example.com', email_verified: true, status: 'active' });
    const [credential] = await cli.db('password_credentials').where({ user_id: user.id });
    assert.match(credential.hash, /^\$argon2id\$/);
    const events = await cli.db('events').where({ target_id: user.id });
    assert.equal(events[0].type, 'user.created');
    assert.equal(events[0].actor_type, 'operator');
    assert.equal(JSON.stringify([stdout, stderr, credential, events]).includes(PASSWORD), false);
  });

  it('refuses a password that is too weak, says why, and creates nobody', async () => {
    const refusal = await cli.refusal(['user', 'create', 'weak@example.com'], { stdin: 'password' });

    assert.equal(refusal.exitCode, 1);
    assert.equal(refusal.code, 'password.unacceptable');
    assert.equal(refusal.errors[0]?.path, '/password');
    assert.equal(await cli.db('users').where({ email: 'weak@example.com' }).first(), undefined);
  });

  it('invites somebody, whose mail waits for a running server', async () => {
    const invited = await cli.json(['user', 'invite', 'ida@example.com', '--name', 'Ida', '--locale', 'de']);
    const again = await cli.json(['user', 'invite', 'ida@example.com']);
    const member = await cli.refusal(['user', 'invite', 'ada@example.com']);

    const mails = await cli.db('mails').where({ recipient: 'ida@example.com' }).orderBy('created_at');
    assert.equal(invited.status, 'pending');
    assert.equal(again.id, invited.id);
    assert.equal(member.code, 'invitation.not_pending');
    assert.deepEqual(
      mails.map(({ template, locale, status }) => `${template} ${locale} ${status}`),
      ['invitation de queued', 'invitation en queued'],
    );
  });

  it('has no option to take a password as an argument', async () => {
    const refusal = await cli.refusal(['user', 'create', 'eve@example.com', '--password', PASSWORD]);

    assert.equal(refusal.exitCode, 2);
    assert.equal(refusal.code, 'usage');
    assert.equal(await cli.db('users').where({ email: 'eve@example.com' }).first(), undefined);
  });

  it('asks for a password where there is none on standard input, unless told to do without', async () => {
    const refusal = await cli.refusal(['user', 'create', 'bob@example.com'], { stdin: '' });
    const bob = await cli.json(['user', 'create', 'bob@example.com', '--no-password']);

    assert.equal(refusal.exitCode, 2);
    assert.match(refusal.message, /no password/);
    assert.equal(await cli.db('password_credentials').where({ user_id: bob.id }).first(), undefined);
  });

  it('refuses an address that is taken or is none', async () => {
    await cli.json(['user', 'create', 'carl@example.com', '--no-password']);

    const taken = await cli.refusal(['user', 'create', 'Carl@Example.com', '--no-password']);
    const invalid = await cli.refusal(['user', 'create', 'nobody', '--no-password']);

    assert.equal(taken.code, 'user.email_taken');
    assert.equal(invalid.code, 'user.email_invalid');
    assert.equal(invalid.exitCode, 1);
  });

  it('shows a user with the claims of the profile, by id and by address', async () => {
    const { id } = await cli.json(
      [
        'user',
        'create',
        'dora@example.com',
        '--no-password',
        '--given-name',
        'Dora',
        '--claims',
        '{"locale":"el-GR","given_name":"x"}',
      ],
      {},
    );

    const byId = await cli.json(['user', 'show', id]);
    const byAddress = await cli.json(['user', 'show', 'DORA@example.com']);

    assert.deepEqual(byId, byAddress);
    assert.deepEqual(byId.claims, { locale: 'el-GR', given_name: 'Dora' });
  });

  it('lists users a page at a time', async () => {
    await cli.json(['tenant', 'create', 'pages']);
    for (const name of ['a', 'b', 'c']) {
      await cli.json(['user', 'create', `${name}@example.com`, '--no-password', '--tenant', 'pages']);
    }

    const first = await cli.json(['user', 'list', '--tenant', 'pages', '--limit', '2']);
    const second = await cli.json([
      'user',
      'list',
      '--tenant',
      'pages',
      '--limit',
      '2',
      '--after',
      first.next,
    ]);

    assert.deepEqual(
      [...first.users, ...second.users].map(({ email }) => email),
      ['a@example.com', 'b@example.com', 'c@example.com'],
    );
    assert.equal(second.next, null);
  });

  it('gives out a new password, which is temporary as the first one was', async () => {
    const { id } = await cli.json(['user', 'create', 'finn@example.com'], { stdin: PASSWORD });
    const [before] = await cli.db('password_credentials').where({ user_id: id });

    await cli.json(['user', 'set-password', 'finn@example.com'], { stdin: 'nine quiet harbours awake\n' });

    const [after] = await cli.db('password_credentials').where({ user_id: id });
    assert.notEqual(after.hash, before.hash);
    assert.deepEqual([before.is_temporary, after.is_temporary], [true, true]);
    const refusal = await cli.refusal(['user', 'set-password', 'nobody@example.com'], { stdin: PASSWORD });
    assert.equal(refusal.code, 'user.not_found');
  });

  it('disables with a reason, enables, and deletes', async () => {
    const { id } = await cli.json(['user', 'create', 'gus@example.com', '--no-password']);

    const disabled = await cli.json(['user', 'disable', id, '--reason', 'left the company']);
    const enabled = await cli.json(['user', 'enable', id]);
    const deleted = await cli.json(['user', 'delete', id]);

    assert.equal(disabled.status, 'disabled');
    assert.equal(enabled.status, 'active');
    assert.deepEqual(deleted, { id, deleted: true, erased: false });
    const events = await cli.db('events').where({ target_id: id }).orderBy('id');
    assert.deepEqual(
      events.map(({ type, reason }) => [type, reason]),
      [
        ['user.created', null],
        ['user.disabled', 'left the company'],
        ['user.enabled', null],
        ['user.deleted', null],
      ],
    );
  });

  for (const verb of ['show', 'disable', 'enable', 'delete']) {
    it(`answers not found to ${verb} for somebody who is not there`, async () => {
      const refusal = await cli.refusal(['user', verb, 'nobody@example.com']);

      assert.equal(refusal.exitCode, 1);
      assert.equal(refusal.code, 'user.not_found');
    });
  }

  it('unlocks a user who failed to sign in too often', async () => {
    await cli.json(['user', 'create', 'grace@example.com', '--no-password']);
    const { id: tenantId } = await cli.db('tenants').where({ slug: 'default' }).first('id');
    const limits = { perAccount: 3, lockAfter: 100, lockSeconds: 60, perNetwork: 100 };
    const attempts = createSignInAttempts({ db: cli.db, limits, onClosed: async () => {} });
    const guess = () =>
      attempts.begin(tenantId, { email: 'grace@example.com', ip: undefined, isKnownBrowser: false });
    for (let failures = 0; failures < 3; failures += 1) await guess();

    await cli.json(['user', 'unlock', 'Grace@example.com']);

    assert.equal((await guess()).ok, true);
  });

  it('locks and unlocks a user', async () => {
    await cli.json(['user', 'create', 'hedy@example.com', '--no-password']);

    const locked = await cli.json(['user', 'lock', 'hedy@example.com', '--reason', 'stolen_laptop']);
    const unlocked = await cli.json(['user', 'unlock', 'hedy@example.com']);

    assert.partialDeepStrictEqual(locked, { status: 'locked', lock_cause: 'administrator' });
    assert.partialDeepStrictEqual(unlocked, { status: 'active', lock_cause: null });
  });

  it('restores a deleted user as disabled, and not one who was erased', async () => {
    const created = await cli.json(['user', 'create', 'mary@example.com', '--no-password']);
    const { id } = created as { id: string };

    await cli.json(['user', 'delete', id]);
    const restored = await cli.json(['user', 'restore', id]);
    const erased = await cli.json(['user', 'delete', id, '--erase']);
    const refusal = await cli.refusal(['user', 'restore', id]);

    assert.partialDeepStrictEqual(restored, { id, status: 'disabled', email: 'mary@example.com' });
    assert.deepEqual(erased, { id, deleted: true, erased: true });
    assert.equal(refusal.code, 'user.not_found');
  });
});
