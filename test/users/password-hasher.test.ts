import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { hash as argon2Hash } from '@node-rs/argon2';
import { AppError } from '../../src/lib/errors.ts';
import { createKeyRing } from '../../src/lib/key-ring.ts';
import { createPasswordHasher } from '../../src/users/password-hasher.ts';
import { parsePhc } from '../../src/users/phc.ts';
import { newHasher, newKey } from './people.ts';

describe('password hasher', () => {
  it('verifies the password it hashed and no other', async () => {
    const hasher = newHasher();

    const stored = await hasher.hash('mossy lantern orbit');

    assert.equal(await hasher.verify('mossy lantern orbit', stored), true);
    assert.equal(await hasher.verify('mossy lantern orbiT', stored), false);
    assert.equal(await hasher.verify('', stored), false);
  });

  it('stores argon2id with 19 MiB, two passes, one lane and a salt of its own', async () => {
    const hasher = newHasher();

    const [a, b] = await Promise.all([hasher.hash('same password here'), hasher.hash('same password here')]);

    assert.match(a.hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.notEqual(a.hash, b.hash);
  });

  it('stores the HMAC-SHA-256 of the argon2id output under the pepper, not the output', async () => {
    const peppers = createKeyRing([newKey()]);
    const hasher = createPasswordHasher({ peppers, concurrency: 1, maxQueue: 1 });

    const stored = await hasher.hash('mossy lantern orbit');

    const { salt, digest } = parsePhc(stored.hash);
    const plain = parsePhc(
      await argon2Hash('mossy lantern orbit', { memoryCost: 19_456, timeCost: 2, parallelism: 1, salt }),
    );
    const pepper = peppers.derive('password-pepper', stored.pepperId);
    assert.deepEqual(digest, createHmac('sha256', pepper).update(plain.digest).digest());
  });

  it('reads the 73rd byte and the 1000th', async () => {
    const hasher = newHasher();
    const text = 'x'.repeat(999);

    const stored = await hasher.hash(`${text}a`);
    const short = await hasher.hash(`${text.slice(0, 72)}a`);

    assert.equal(await hasher.verify(`${text}a`, stored), true);
    assert.equal(await hasher.verify(`${text}b`, stored), false);
    assert.equal(await hasher.verify(`${text.slice(0, 72)}b`, short), false);
  });

  it('takes the composed and the decomposed spelling for the same password', async () => {
    const hasher = newHasher();
    const composed = 'Caf\u00e9 au lait \u1f82 \uac00';

    const stored = await hasher.hash(composed);

    assert.notEqual(composed.normalize('NFD'), composed);
    assert.equal(await hasher.verify(composed.normalize('NFD'), stored), true);
    assert.equal(await hasher.verify('Cafe au lait \u1f82 \uac00', stored), false);
  });

  it('keeps blanks, case and NUL significant', async () => {
    const hasher = newHasher();

    const stored = await hasher.hash(' Mossy\0lantern ');

    assert.equal(await hasher.verify(' Mossy\0lantern ', stored), true);
    for (const other of ['Mossy\0lantern', ' mossy\0lantern ', ' Mossy', ' Mossy\0Lantern ']) {
      assert.equal(await hasher.verify(other, stored), false);
    }
  });

  it('refuses text over 1024 bytes and text that is not well-formed, and never verifies it', async () => {
    const hasher = newHasher();
    const stored = await hasher.hash('x'.repeat(1024));

    for (const text of ['x'.repeat(1025), 'x'.repeat(100_000), 'lone \ud800 surrogate']) {
      await assert.rejects(hasher.hash(text), { code: 'password.unacceptable', status: 400 });
      assert.equal(await hasher.verify(text, stored), false);
    }
    assert.equal(await hasher.verify('x'.repeat(1024), stored), true);
  });

  it('verifies under an old pepper while it is in the ring, and asks for a rehash', async () => {
    const [oldKey, newKeyBytes] = [newKey(), newKey()];
    const stored = await newHasher([oldKey]).hash('mossy lantern orbit');
    const rotated = newHasher([newKeyBytes, oldKey]);

    assert.equal(await rotated.verify('mossy lantern orbit', stored), true);
    assert.equal(await rotated.verify('something else', stored), false);
    assert.equal(rotated.needsRehash(stored), true);
    assert.equal(rotated.needsRehash(await rotated.hash('mossy lantern orbit')), false);
  });

  it('fails loudly when the pepper has left the ring', async () => {
    const stored = await newHasher([newKey()]).hash('mossy lantern orbit');

    await assert.rejects(newHasher([newKey()]).verify('mossy lantern orbit', stored), (err) => {
      assert.ok(!(err instanceof AppError));
      assert.match(String(err), /key ring/);
      return true;
    });
  });

  it('asks for a rehash when any parameter differs, and verifies with the stored ones', async () => {
    const peppers = createKeyRing([newKey()]);
    const made = { memoryKib: 8192, passes: 2, lanes: 1 };
    const build = (parameters: typeof made) =>
      createPasswordHasher({ peppers, concurrency: 1, maxQueue: 10, parameters });
    const stored = await build(made).hash('mossy lantern orbit');

    for (const other of [
      { ...made, memoryKib: 8193 },
      { ...made, passes: 3 },
      { ...made, lanes: 2 },
    ]) {
      assert.equal(build(other).needsRehash(stored), true);
      assert.equal(await build(other).verify('mossy lantern orbit', stored), true);
    }
    assert.equal(build(made).needsRehash(stored), false);
  });

  it('says no where nothing is stored, after one real hash', async () => {
    const hasher = newHasher();

    const answer = hasher.verify('mossy lantern orbit', undefined);

    assert.partialDeepStrictEqual(hasher.stats(), { running: 1, queued: 0 });
    assert.equal(await answer, false);
  });

  it('fails loudly on a damaged hash, without repeating it', async () => {
    const hasher = newHasher();
    const { pepperId } = await hasher.hash('mossy lantern orbit');

    for (const hash of ['', '$2b$10$abc', '$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$x']) {
      await assert.rejects(hasher.verify('mossy lantern orbit', { hash, pepperId }), (err: Error) => {
        assert.ok(!(err instanceof AppError));
        assert.ok(hash === '' || !err.message.includes(hash));
        return true;
      });
    }
  });

  it('answers 503 with a time to wait when the queue is full, and runs on afterwards', async () => {
    const hasher = createPasswordHasher({ peppers: createKeyRing([newKey()]), concurrency: 2, maxQueue: 3 });

    const attempts = Array.from({ length: 8 }, () => hasher.hash('mossy lantern orbit'));
    const atOnce = hasher.stats();
    const outcomes = await Promise.allSettled(attempts);

    assert.deepEqual(atOnce, { running: 2, queued: 3, rejected: 3 });
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 5);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      assert.ok(outcome.reason instanceof AppError);
      assert.equal(outcome.reason.code, 'password.busy');
      assert.equal(outcome.reason.status, 503);
      assert.ok((outcome.reason.retryAfterSeconds ?? 0) >= 1);
    }
    assert.partialDeepStrictEqual(hasher.stats(), { running: 0, queued: 0 });
    assert.equal(await hasher.verify('again', await hasher.hash('again')), true);
  });
});
