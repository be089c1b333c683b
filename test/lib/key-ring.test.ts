import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { createKeyRing, hmacSha256 } from '../../src/lib/key-ring.ts';

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

describe('a key ring', () => {
  it('uses its first key and knows all of them', () => {
    const before = createKeyRing([oldKey]);
    const after = createKeyRing([newKey, oldKey]);

    assert.notEqual(after.currentId, before.currentId);
    assert.deepEqual(after.ids, [after.currentId, before.currentId]);
    assert.deepEqual(after.derive('seal', before.currentId), before.derive('seal'));
  });

  it('derives another key for every purpose and every master key', () => {
    const ring = createKeyRing([newKey, oldKey]);
    const keys = ring.ids.flatMap((id) => ['seal', 'cookies', ''].map((purpose) => ring.derive(purpose, id)));

    assert.equal(new Set(keys.map((key) => key.toString('hex'))).size, 6);
    assert.ok(keys.every((key) => key.length === 32));
  });

  it('derives the same key in every process and version, or nothing stored could be opened', () => {
    const ring = createKeyRing([Buffer.alloc(32, 7)]);

    assert.equal(ring.currentId, 'c81c3014');
    assert.equal(
      ring.derive('seal').toString('hex'),
      '73f1486d00cc61ad0efa6e76d696b6be1e5004487cf6a1fc0c07a82816ea4f60',
    );
  });

  it('tells nothing of a key by its id', () => {
    const ring = createKeyRing([oldKey]);

    assert.match(ring.currentId, /^[0-9a-f]{8}$/);
    assert.ok(!oldKey.toString('hex').includes(ring.currentId));
  });

  it('refuses a key it does not have, and to be empty', () => {
    const ring = createKeyRing([newKey]);

    assert.throws(() => ring.derive('seal', createKeyRing([oldKey]).currentId), /no key/);
    assert.throws(() => createKeyRing([]), TypeError);
  });
});

describe('an HMAC over several parts', () => {
  it('differs wherever the parts differ, also in where they are cut', () => {
    const key = randomBytes(32);
    const parts = fc.array(fc.string({ maxLength: 4 }), { maxLength: 4 });

    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        assert.equal(hmacSha256(key, ...a).equals(hmacSha256(key, ...b)), same);
      }),
    );
    assert.notDeepEqual(hmacSha256(key, 'ab', 'c'), hmacSha256(key, 'a', 'bc'));
    assert.notDeepEqual(hmacSha256(key, 'a'), hmacSha256(key, 'a', ''));
  });
});
