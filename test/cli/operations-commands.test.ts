import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { emptyDatabase } from '../support/database.ts';
import { cliBench } from './support.ts';
import type { CliBench, Json } from './support.ts';

const PRIVATE_MEMBERS = /"(d|p|q|dp|dq|qi)":/;

describe('gatehouse tenant', () => {
  let cli: CliBench;

  before(async () => {
    cli = await cliBench();
  });

  after(async () => {
    await cli.close();
  });

  it('creates tenants that are isolated from each other, and lists them', async () => {
    const created = await cli.json(['tenant', 'create', 'acme', '--name', 'Acme']);
    await cli.json(['user', 'create', 'ada@example.com', '--no-password', '--tenant', 'acme']);

    const { tenants } = await cli.json(['tenant', 'list']);
    const refusal = await cli.refusal(['user', 'show', 'ada@example.com']);

    assert.partialDeepStrictEqual(created, {
      slug: 'acme',
      name: 'Acme',
      issuer: 'http://localhost:3000/t/acme',
      status: 'active',
    });
    assert.deepEqual(
      tenants.map(({ slug, issuer }: { slug: string; issuer: string }) => [slug, issuer]),
      [
        ['default', 'http://localhost:3000'],
        ['acme', 'http://localhost:3000/t/acme'],
      ],
    );
    assert.equal(refusal.code, 'user.not_found');
  });

  it('changes settings, given as JSON or as a word, and returns to the default', async () => {
    await cli.json(['tenant', 'create', 'settled']);
    const changed = ['tenant', 'update', 'settled', '--set', 'signUp=domains'];
    await cli.json([...changed, '--set', 'signUpDomains=["example.com"]', '--set', 'sessionIdleSeconds=600']);

    const { settings } = await cli.json(['tenant', 'update', 'settled', '--unset', 'sessionIdleSeconds']);
    const shown = await cli.json(['tenant', 'show', 'settled']);

    assert.equal(settings.signUp, 'domains');
    assert.deepEqual(settings.signUpDomains, ['example.com']);
    assert.equal(settings.sessionIdleSeconds, undefined);
    assert.deepEqual(shown.settings, settings);
    const refusal = await cli.refusal(['tenant', 'update', 'settled', '--set', 'signUp=never']);
    assert.equal(refusal.code, 'tenant.settings_invalid');
  });

  it('refuses a slug that is taken or none, and a tenant that is not there', async () => {
    await cli.json(['tenant', 'create', 'twice']);

    const taken = await cli.refusal(['tenant', 'create', 'twice']);
    const invalid = await cli.refusal(['tenant', 'create', 'Not A Slug']);
    const unknown = await cli.refusal(['user', 'list', '--tenant', 'nowhere']);

    assert.equal(taken.code, 'tenant.slug_taken');
    assert.equal(invalid.code, 'tenant.slug_invalid');
    assert.equal(unknown.code, 'tenant.not_found');
    assert.equal(unknown.exitCode, 1);
  });

  it('makes single-use links for administrators of which only the hash is stored', async () => {
    const { url, expires_at: expiresAt } = await cli.json(['admin', 'link']);

    assert.match(url, /^http:\/\/localhost:3000\/setup\?token=[A-Za-z0-9_-]{43}$/);
    assert.ok(new Date(expiresAt) > new Date());
    const token = new URL(url).searchParams.get('token') ?? '';
    const stored = JSON.stringify([await cli.db('one_time_tokens'), await cli.db('events')]);
    assert.equal(stored.includes(token), false);
    assert.equal((await cli.refusal(['admin', 'link', '--tenant', 'nowhere'])).code, 'tenant.not_found');
  });
});

describe('gatehouse keys', () => {
  let cli: CliBench;

  beforeEach(async () => {
    cli = await cliBench();
  });

  afterEach(async () => {
    await cli.close();
  });

  const statusOf = ({ keys }: Json, alg: string) =>
    keys.filter((key: Json) => key.alg === alg).map(({ kid, status }: Json) => [kid, status]);

  it('lists, rotates and revokes without ever printing a private half', async () => {
    const before = await cli.json(['keys', 'list']);
    const tooSoon = await cli.refusal(['keys', 'rotate']);
    const rotated = await cli.json(['keys', 'rotate', '--alg', 'ES256', '--force']);
    // Keys of one moment are in no order.
    const kidOf = (wanted: string) =>
      statusOf(before, 'ES256').find(([, status]: [string, string]) => status === wanted)?.[0];
    const [oldKid, newKid] = [kidOf('current'), kidOf('next')];
    const revoked = await cli.json(['keys', 'revoke', '--', newKid]);
    const unknown = await cli.refusal(['keys', 'revoke', 'nothing']);

    assert.equal(before.keys.length, 6);
    assert.equal(tooSoon.code, 'signing_key.next_too_new');
    const after = new Map(statusOf(rotated, 'ES256'));
    assert.deepEqual([after.get(oldKid), after.get(newKid)], ['retiring', 'current']);
    assert.deepEqual(statusOf(rotated, 'RS256'), statusOf(before, 'RS256'));
    assert.equal(new Map(statusOf(revoked, 'ES256')).get(newKid), 'revoked');
    assert.equal(unknown.code, 'signing_key.not_found');
    assert.doesNotMatch(JSON.stringify([before, rotated, revoked]), PRIVATE_MEMBERS);
  });

  it('seals the keys under a new master key, after which the old one can go', async () => {
    await cli.json(['keys', 'list']);
    const fresh = randomBytes(32).toString('base64');
    const { GATEHOUSE_KEYS: old } = cli.env;

    const rewrapped = await cli.json(['keys', 'rewrap'], { env: { GATEHOUSE_KEYS: `${fresh},${old}` } });
    const again = await cli.json(['keys', 'rewrap'], { env: { GATEHOUSE_KEYS: fresh } });
    const lost = await cli.run(['keys', 'rewrap', '--json'], {
      env: { GATEHOUSE_KEYS: randomBytes(32).toString('base64') },
    });

    assert.deepEqual(rewrapped, { rewrapped: 6, remaining: 0, unopenable: [] });
    assert.deepEqual(again, { rewrapped: 0, remaining: 0, unopenable: [] });
    assert.equal(lost.exitCode, 1);
    assert.equal(JSON.parse(lost.stdout).remaining, 6);
  });
});

describe('gatehouse migrate', () => {
  it('tells what is pending, applies it, and undoes it only when confirmed', async () => {
    const cli = await cliBench(await emptyDatabase());
    try {
      const fresh = await cli.json(['migrate', 'status']);
      const up = await cli.json(['migrate', 'up']);
      const again = await cli.json(['migrate', 'up']);
      const unconfirmed = await cli.refusal(['migrate', 'down']);
      const down = await cli.json(['migrate', 'down', '--all', '--yes']);
      const after = await cli.json(['migrate', 'status']);

      assert.deepEqual(fresh.applied, []);
      assert.deepEqual(up.applied, fresh.pending);
      assert.deepEqual(again.applied, []);
      assert.equal(unconfirmed.exitCode, 2);
      assert.match(unconfirmed.message, /--yes/);
      assert.deepEqual(down.undone, up.applied.toReversed());
      assert.deepEqual(after.applied, []);
    } finally {
      await cli.close();
    }
  });

  it('is run by the first command on an empty database, unless the configuration leaves it to the operator', async () => {
    const cli = await cliBench(await emptyDatabase());
    try {
      const refusal = await cli.refusal(['user', 'list'], { env: { GATEHOUSE_MIGRATE_AT_START: 'off' } });
      const list = await cli.json(['user', 'list']);

      assert.equal(refusal.code, 'database.not_migrated');
      assert.deepEqual(list, { users: [], next: null });
    } finally {
      await cli.close();
    }
  });
});
