import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { createKeyRing } from '../../src/lib/key-ring.ts';
import { createSealer } from '../../src/lib/sealer.ts';

const PLACE = 'signing_keys:private_jwk:0190f0e0-0000-7000-8000-000000000000';
const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
const sealer = createSealer(createKeyRing([oldKey]));

describe('a sealed value', () => {
  it('opens to what was sealed, whatever that was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.string(), (plaintext, place) => {
        assert.equal(sealer.open(sealer.seal(plaintext, place), place), plaintext);
      }),
    );
  });

  it('shows nothing of what is in it, not even that two are equal', () => {
    const [one, two] = [sealer.seal('canary'.repeat(10), PLACE), sealer.seal('canary'.repeat(10), PLACE)];

    assert.notEqual(one, two);
    assert.doesNotMatch(Buffer.from(one.split('.')[3] ?? '', 'base64url').toString('latin1'), /canary/);
  });

  const places: [name: string, place: string][] = [
    ['row', PLACE.replace(/0$/, '1')],
    ['column', PLACE.replace('private_jwk', 'public_jwk')],
    ['table', PLACE.replace('signing_keys', 'clients')],
    ['place without a name', ''],
  ];
  for (const [name, place] of places) {
    it(`does not open in another ${name}`, () => {
      const sealed = sealer.seal('canary', PLACE);

      assert.throws(() => sealer.open(sealed, place));
    });
  }

  it('does not open with the data key of another value', () => {
    const [one, two] = [sealer.seal('one', PLACE).split('.'), sealer.seal('two', PLACE).split('.')];

    assert.throws(() => sealer.open([one[0], one[1], one[2], two[3]].join('.'), PLACE));
  });

  it('does not open after any one bit was changed', () => {
    const sealed = sealer.seal('canary', PLACE);
    const [version, keyId, ...boxes] = sealed.split('.');

    for (const index of [0, 1]) {
      const box = Buffer.from(boxes[index] ?? '', 'base64url');
      for (let bit = 0; bit < box.length * 8; bit += 1) {
        const changed = Buffer.from(box);
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        const parts = boxes.with(index, changed.toString('base64url'));
        assert.throws(() => sealer.open([version, keyId, ...parts].join('.'), PLACE), `bit ${bit}`);
      }
    }
  });

  it('does not open truncated, with a shorter tag or none', () => {
    const sealed = sealer.seal('canary', PLACE);
    const [version, keyId, wrapped = '', body = ''] = sealed.split('.');

    for (let length = 0; length < sealed.length; length += 1)
      assert.throws(() => sealer.open(sealed.slice(0, length), PLACE), `${length} characters`);
    for (let bytes = 0; bytes < 48; bytes += 1) {
      const shorter = Buffer.from(wrapped, 'base64url').subarray(0, bytes).toString('base64url');
      assert.throws(() => sealer.open([version, keyId, shorter, body].join('.'), PLACE), `${bytes} bytes`);
    }
  });

  for (const text of ['', '.', '...', 'plain text', 's1.x.y', 's0.a.b.c', 's1.00000000.AAAA.AAAA']) {
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.throws(() => sealer.open(text, PLACE));
    });
  }
});

describe('replacing the master key', () => {
  it('keeps values of the old key readable and seals new ones under the new key', () => {
    const rotated = createSealer(createKeyRing([newKey, oldKey]));
    const old = sealer.seal('canary', PLACE);

    const fresh = rotated.seal('canary', PLACE);

    assert.equal(rotated.open(old, PLACE), 'canary');
    assert.equal(rotated.open(fresh, PLACE), 'canary');
    assert.equal(rotated.keyIdOf(old), createKeyRing([oldKey]).currentId);
    assert.equal(rotated.keyIdOf(fresh), createKeyRing([newKey]).currentId);
  });

  it('leaves values unreadable once their key is dropped', () => {
    const old = sealer.seal('canary', PLACE);

    assert.throws(() => createSealer(createKeyRing([newKey])).open(old, PLACE), /no key/);
  });

  it('cannot be played by writing another key id on a value', () => {
    const rotated = createSealer(createKeyRing([newKey, oldKey]));
    const [version, , wrapped, body] = rotated.seal('canary', PLACE).split('.');
    const oldId = createKeyRing([oldKey]).currentId;

    assert.throws(() => rotated.open([version, oldId, wrapped, body].join('.'), PLACE));
  });
});
