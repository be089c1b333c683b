import assert from 'node:assert/strict';
import { reportOn } from '../../src/demo/token-report.ts';
import { createTestIssuer, RESOURCE } from './signed-tokens.ts';

describe('token report', () => {
  const expected = { audience: RESOURCE, type: 'at+jwt' };
  let issuer: Awaited<ReturnType<typeof createTestIssuer>>;

  before(async () => {
    issuer = await createTestIssuer();
  });

  async function failed(token: string): Promise<string[]> {
    const report = await reportOn(token, issuer.verification, expected, new Date());
    assert.equal(
      report.valid,
      report.checks.every(({ ok }) => ok),
    );
    return report.checks.filter(({ ok }) => !ok).map(({ name }) => name);
  }

  it('finds nothing wrong with a token in order', async () => {
    const token = await issuer.accessToken();

    const { valid, format, checks } = await reportOn(token, issuer.verification, expected, new Date());

    assert.equal(format, 'jwt');
    assert.equal(valid, true);
    assert.deepEqual(
      checks.map(({ name }) => name),
      ['Signature', 'Issuer', 'Audience', 'Expiry', 'Type'],
    );
  });

  it('names exactly the check that a wrong token fails', async () => {
    const past = Math.floor(Date.now() / 1000) - 60;

    assert.deepEqual(await failed(await issuer.accessToken({}, {}, { forged: true })), ['Signature']);
    assert.deepEqual(await failed(await issuer.accessToken({}, { kid: 'key-2' })), ['Signature']);
    assert.deepEqual(await failed(await issuer.accessToken({ iss: 'https://other.example' })), ['Issuer']);
    assert.deepEqual(await failed(await issuer.accessToken({ aud: ['one', 'two'] })), ['Audience']);
    assert.deepEqual(await failed(await issuer.accessToken({ exp: past })), ['Expiry']);
    assert.deepEqual(await failed(await issuer.accessToken({}, { typ: 'JWT' })), ['Type']);
  });

  it('does not accept an unsigned token', async () => {
    const [, payload] = (await issuer.accessToken()).split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url');

    assert.deepEqual(await failed(`${header}.${payload}.`), ['Signature']);
  });

  it('takes what is no JWT for opaque, and vouches for nothing', async () => {
    const report = await reportOn('a-random-handle', issuer.verification, expected, new Date());

    assert.deepEqual([report.format, report.valid, report.checks], ['opaque', false, []]);
  });
});
