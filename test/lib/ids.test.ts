import assert from 'node:assert/strict';
import fc from 'fast-check';
import { equalSecrets, isId, newId, newSecret, sha256 } from '../../src/lib/ids.ts';

describe('an id', () => {
  it('is a UUIDv7 with its time in front', () => {
    const id = newId(new Date(0x0123_4567_89ab));

    assert.match(id, /^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.ok(isId(id));
  });

  it('sorts by the time it was made', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 47 }), fc.integer({ min: 1, max: 2 ** 46 }), (time, elapsed) => {
        assert.ok(newId(new Date(time)) < newId(new Date(time + elapsed)));
      }),
    );
  });

  it('is made only once', () => {
    const now = new Date();
    const ids = new Set(Array.from({ length: 10_000 }, () => newId(now)));

    assert.equal(ids.size, 10_000);
  });

  for (const text of [
    '',
    'x',
    '0190F0E0-0000-7000-8000-000000000000',
    '0190f0e000007000800000000000000000',
    '0190f0e0-0000-7000-8000-000000000000\n',
    "0190f0e0-0000-7000-8000-00000000000'",
  ]) {
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.equal(isId(text), false);
    });
  }
});

describe('a secret', () => {
  it('has 256 bits that need no encoding anywhere', () => {
    assert.match(newSecret(), /^[A-Za-z0-9_-]{43}$/);
    assert.match(newSecret('sk'), /^sk_[A-Za-z0-9_-]{43}$/);
    assert.notEqual(newSecret(), newSecret());
  });

  it('is hashed with SHA-256', () => {
    assert.equal(
      sha256('abc').toString('hex'),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('equals itself and nothing like it', () => {
    const secret = newSecret();

    assert.equal(equalSecrets(secret, secret), true);
    for (const other of ['', secret.slice(0, -1), `${secret}=`, secret.toUpperCase(), ` ${secret}`])
      assert.equal(equalSecrets(secret, other), false);
  });
});
