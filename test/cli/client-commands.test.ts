import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../../src/lib/ids.ts';
import { cliBench } from './support.ts';
import type { CliBench } from './support.ts';

const REDIRECT = ['--redirect-uri', 'https://app.example.com/cb'];

describe('gatehouse client', () => {
  let cli: CliBench;

  before(async () => {
    cli = await cliBench();
  });

  after(async () => {
    await cli.close();
  });

  it('shows the secret once, when it is made, and stores only its hash', async () => {
    const created = await cli.json(['client', 'create', 'shop', '--name', 'Shop', ...REDIRECT]);
    const secret: string = created.client_secret;
    const shown = await cli.run(['client', 'show', 'shop']);
    const shownJson = await cli.run(['client', 'show', 'shop', '--json']);
    const listed = await cli.run(['client', 'list', '--json']);

    assert.match(secret, /^[A-Za-z0-9_-]{43}$/);
    const rows = await cli.db('client_secrets').where({ hint: secret.slice(0, 6) });
    assert.deepEqual(rows[0].secret_hash, sha256(secret));
    const everywhere = JSON.stringify([
      shown,
      shownJson,
      listed,
      await cli.db('events'),
      await cli.db('clients'),
    ]);
    assert.equal(everywhere.includes(secret), false);
    assert.equal(everywhere.includes(sha256(secret).toString('hex')), false);
    assert.match(shown.stdout, new RegExp(`${secret.slice(0, 6)}…`));
  });

  it('prints the secret for people, too', async () => {
    const { stdout } = await cli.run(['client', 'create', 'people', '--name', 'People', ...REDIRECT]);

    assert.match(stdout, /client_secret +[A-Za-z0-9_-]{43}\n/);
    assert.match(stdout, /shown only now/);
  });

  it('sets every metadata field by its flag', async () => {
    const jwk = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
    const file = join(cli.dataDir, 'jwks.json');
    await writeFile(file, JSON.stringify({ keys: [jwk] }));

    const created = await cli.json([
      'client',
      'create',
      'all',
      '--name',
      'All',
      '--type',
      'web',
      ...REDIRECT,
      '--redirect-uri',
      'https://app.example.com/cb2',
      '--post-logout-redirect-uri',
      'https://app.example.com/bye',

      '--grant-type',
      'authorization_code',
      '--grant-type',
      'refresh_token',
      '--grant-type',
      'client_credentials',
      '--auth-method',
      'private_key_jwt',
      '--auth-signing-alg',
      'EdDSA',
      '--jwks',
      file,
      '--scope',
      'openid profile email',
      '--id-token-alg',
      'ES256',
      '--default-max-age',
      '3600',
      '--require-auth-time',
      '--require-par',
      '--dpop-bound',

      '--backchannel-logout-uri',
      'https://app.example.com/logout',
      '--backchannel-logout-session-required',
      '--initiate-login-uri',
      'https://app.example.com/login',
      '--client-uri',
      'https://app.example.com',

      '--logo-uri',
      'https://app.example.com/logo.svg',
      '--policy-uri',
      'https://app.example.com/privacy',
      '--tos-uri',
      'https://app.example.com/terms',
      '--contact',
      'owner@example.com',
      '--first-party',
      '--default-scope',
      'openid email',
    ]);

    assert.equal(created.client_secret, undefined);
    assert.equal(created.first_party, true);
    assert.equal(created.default_scope, 'openid email');
    assert.deepEqual(created.metadata, {
      application_type: 'web',
      redirect_uris: ['https://app.example.com/cb', 'https://app.example.com/cb2'],
      post_logout_redirect_uris: ['https://app.example.com/bye'],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      response_types: ['code'],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'EdDSA',
      jwks: { keys: [jwk] },
      scope: 'openid profile email',
      id_token_signed_response_alg: 'ES256',
      default_max_age: 3600,
      require_auth_time: true,
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
      backchannel_logout_uri: 'https://app.example.com/logout',
      backchannel_logout_session_required: true,
      initiate_login_uri: 'https://app.example.com/login',
      client_uri: 'https://app.example.com',
      logo_uri: 'https://app.example.com/logo.svg',
      policy_uri: 'https://app.example.com/privacy',
      tos_uri: 'https://app.example.com/terms',
      contacts: ['owner@example.com'],
    });
  });

  it('takes a registration document from a file or standard input, and flags win over it', async () => {
    const document = {
      client_id: 'from-document',
      client_name: 'From document',
      redirect_uris: ['https://app.example.com/cb'],
      token_endpoint_auth_method: 'none',
      client_uri: 'https://app.example.com',
    };

    const created = await cli.json(
      ['client', 'create', '--metadata', '-', '--client-uri', 'https://other.example.com'],
      { stdin: JSON.stringify(document) },
    );

    assert.equal(created.client_id, 'from-document');
    assert.equal(created.client_name, 'From document');
    assert.equal(created.metadata.client_uri, 'https://other.example.com');
  });

  it('refuses what is wrong with all faults, pointing at each, and registers nothing', async () => {
    const refusal = await cli.refusal([
      'client',
      'create',
      'bad',
      '--name',
      'Bad',
      '--redirect-uri',
      'http://app.example.com/cb',
      '--redirect-uri',
      'https://*.example.com/cb',
      '--logo-uri',
      'javascript:alert(1)',
    ]);

    assert.equal(refusal.exitCode, 1);
    assert.equal(refusal.code, 'client.invalid');
    assert.deepEqual(
      refusal.errors.map(({ path }) => path),
      ['/redirect_uris/0', '/redirect_uris/1', '/logo_uri'],
    );
    assert.equal((await cli.refusal(['client', 'show', 'bad'])).code, 'client.not_found');
  });

  it('tells people about faults in plain lines, without a stack', async () => {
    const { exitCode, stdout, stderr } = await cli.run([
      'client',
      'create',
      'bad',
      '--name',
      'Bad',
      '--redirect-uri',
      'http://app.example.com/cb',
    ]);

    assert.equal(exitCode, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^gatehouse: .*\(client\.invalid\)\n {2}\/redirect_uris\/0: must use https/);
    assert.doesNotMatch(stderr, /\n +at /);
  });

  it('refuses broken metadata as a usage error', async () => {
    for (const metadata of ['{"a":', '[]', '/no/such/file.json']) {
      const refusal = await cli.refusal(['client', 'create', '--name', 'Bad', '--metadata', metadata]);

      assert.equal(refusal.exitCode, 2, metadata);
      assert.match(refusal.message, /^--metadata: /);
    }
    assert.equal((await cli.refusal(['client', 'create', ...REDIRECT])).exitCode, 2);
  });

  it('refuses an id that was deleted', async () => {
    await cli.json(['client', 'create', 'once', '--name', 'Once', ...REDIRECT]);

    const deleted = await cli.json(['client', 'delete', 'once']);
    const refusal = await cli.refusal(['client', 'create', 'once', '--name', 'Twice', ...REDIRECT]);

    assert.deepEqual(deleted, { client_id: 'once', deleted: true });
    assert.equal(refusal.code, 'client.id_taken');
  });

  it('changes what is given, takes out what is unset, and keeps the rest', async () => {
    await cli.json([
      'client',
      'create',
      'change',
      '--name',
      'Change',
      ...REDIRECT,
      '--client-uri',
      'https://app.example.com',
      '--require-par',
      '--scope',
      'openid',
    ]);

    const changed = await cli.json([
      'client',
      'update',
      'change',
      '--redirect-uri',
      'https://new.example.com/cb',
      '--unset',
      'client_uri',
      '--no-require-par',
      '--first-party',
    ]);

    assert.equal(changed.client_name, 'Change');
    assert.equal(changed.first_party, true);
    assert.partialDeepStrictEqual(changed.metadata, {
      redirect_uris: ['https://new.example.com/cb'],
      require_pushed_authorization_requests: false,
      scope: 'openid',
    });
    assert.equal(Object.hasOwn(changed.metadata, 'client_uri'), false);
  });

  it('refuses an update of nothing, of an unknown field, and of an unknown client', async () => {
    await cli.json(['client', 'create', 'still', '--name', 'Still', ...REDIRECT]);

    const nothing = await cli.refusal(['client', 'update', 'still']);
    const unknown = await cli.refusal(['client', 'update', 'still', '--unset', 'clientUri']);
    const missing = await cli.refusal(['client', 'update', 'nobody', '--name', 'x']);

    assert.equal(nothing.exitCode, 2);
    assert.equal(unknown.code, 'client.invalid');
    assert.match(unknown.errors[0]?.message ?? '', /did you mean client_uri/);
    assert.equal(missing.code, 'client.not_found');
  });

  it('rotates a secret: two live ones, no third, and one when the old ends at once', async () => {
    const { client_secret: first } = await cli.json([
      'client',
      'create',
      'rot',
      '--name',
      'Rot',
      ...REDIRECT,
    ]);

    const second = await cli.json(['client', 'rotate-secret', 'rot', '--expire-old-after', '3600']);
    const refusal = await cli.refusal(['client', 'rotate-secret', 'rot']);
    const third = await cli.json(['client', 'rotate-secret', 'rot', '--expire-old-after', '0']);

    assert.equal(second.secrets.length, 2);
    assert.deepEqual(
      second.secrets.map(({ hint }: { hint: string }) => hint),
      [second.client_secret.slice(0, 6), first.slice(0, 6)],
    );
    assert.equal(refusal.code, 'client.too_many_secrets');
    assert.deepEqual(
      third.secrets.map(({ hint }: { hint: string }) => hint),
      [third.client_secret.slice(0, 6)],
    );
    const events = JSON.stringify(await cli.db('events'));
    for (const secret of [first, second.client_secret, third.client_secret]) {
      assert.equal(events.includes(secret), false);
    }
  });

  it('revokes one secret by its hint', async () => {
    const { client_secret: first } = await cli.json([
      'client',
      'create',
      'rev',
      '--name',
      'Rev',
      ...REDIRECT,
    ]);
    await cli.json(['client', 'rotate-secret', 'rev']);

    const left = await cli.json(['client', 'revoke-secret', 'rev', first.slice(0, 6)]);
    const refusal = await cli.refusal(['client', 'revoke-secret', 'rev', first.slice(0, 6)]);

    assert.equal(left.secrets.length, 1);
    assert.equal(refusal.code, 'client.secret_not_found');
  });

  it('disables and enables', async () => {
    await cli.json(['client', 'create', 'switch', '--name', 'Switch', ...REDIRECT]);

    const disabled = await cli.json(['client', 'disable', 'switch']);
    const enabled = await cli.json(['client', 'enable', 'switch']);

    assert.equal(disabled.status, 'disabled');
    assert.equal(enabled.status, 'active');
  });

  for (const args of [
    ['show', 'nobody'],
    ['delete', 'nobody'],
    ['rotate-secret', 'nobody'],
    ['revoke-secret', 'nobody', 'abcdef'],
    ['disable', 'nobody'],
    ['enable', 'nobody'],
  ]) {
    it(`answers not found to ${args[0]} for a client that is not there`, async () => {
      const refusal = await cli.refusal(['client', ...args]);

      assert.equal(refusal.exitCode, 1);
      assert.equal(refusal.code, 'client.not_found');
    });
  }
});
