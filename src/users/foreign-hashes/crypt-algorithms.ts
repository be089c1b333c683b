import { hash } from 'node:crypto';

/**
 * The hashes of crypt(3) that are made of thousands of small ones: MD5-crypt (FreeBSD, and Apache's `$apr1$`) and
 * SHA-crypt (U. Drepper, 2007). They only ever verify; nothing new is hashed so.
 */

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** @returns the 22 characters after the salt */
export function md5Crypt(password: Buffer, salt: Buffer, magic: string): string {
  const md5 = (...parts: Buffer[]) => hash('md5', Buffer.concat(parts), 'buffer');
  const inner = md5(password, salt, password);
  const parts = [password, Buffer.from(magic), salt, filled(inner, password.length)];
  for (let bits = password.length; bits > 0; bits >>>= 1) {
    parts.push(bits & 1 ? Buffer.alloc(1) : password.subarray(0, 1));
  }
  let digest = md5(...parts);
  for (let round = 0; round < 1000; round += 1) {
    digest = md5(
      round & 1 ? password : digest,
      round % 3 ? salt : Buffer.alloc(0),
      round % 7 ? password : Buffer.alloc(0),
      round & 1 ? digest : password,
    );
  }
  const order = [0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5];
  return `${encoded(digest, order)}${encoded(digest, [11])}`;
}

/** @returns the 43 (SHA-256) or 86 (SHA-512) characters after the salt */
export function shaCrypt(name: 'sha256' | 'sha512', password: Buffer, salt: Buffer, rounds: number): string {
  const sha = (...parts: Buffer[]) => hash(name, Buffer.concat(parts), 'buffer');
  const inner = sha(password, salt, password);
  const parts = [password, salt, filled(inner, password.length)];
  for (let bits = password.length; bits > 0; bits >>>= 1) parts.push(bits & 1 ? inner : password);
  let digest = sha(...parts);

  const p = filled(sha(...Array.from({ length: password.length }, () => password)), password.length);
  const s = filled(sha(...Array.from({ length: 16 + (digest[0] ?? 0) }, () => salt)), salt.length);
  for (let round = 0; round < rounds; round += 1) {
    digest = sha(
      round & 1 ? p : digest,
      round % 3 ? s : Buffer.alloc(0),
      round % 7 ? p : Buffer.alloc(0),
      round & 1 ? digest : p,
    );
  }
  return name === 'sha256'
    ? `${encoded(digest, rotated(10, 3, [0, 10, 20], 21, 30))}${encoded(digest, [31, 30])}`
    : `${encoded(digest, rotated(21, 3, [0, 21, 42], 22, 63))}${encoded(digest, [63])}`;
}

/** The order in which a digest is written: triples, each one byte further on and turned by one place. */
function rotated(count: number, size: number, first: number[], step: number, modulus: number): number[] {
  const order: number[] = [];
  let triple = first;
  for (let index = 0; index < count; index += 1) {
    order.push(...triple);
    triple = triple.map((place) => (place + step) % modulus);
  }
  return order.slice(0, count * size);
}

/** Bytes of `source` over and over, as many as asked for. */
function filled(source: Buffer, length: number): Buffer {
  return Buffer.alloc(length, source);
}

/** Three bytes at a time, the first the most significant, as four characters; fewer at the end as one more than they are. */
function encoded(digest: Buffer, order: readonly number[]): string {
  let text = '';
  for (let at = 0; at < order.length; at += 3) {
    const places = order.slice(at, at + 3);
    let value = places.reduce((sum, place) => sum * 256 + (digest[place] ?? 0), 0);
    for (let count = places.length + 1; count > 0; count -= 1) {
      text += ALPHABET.charAt(value & 63);
      value >>>= 6;
    }
  }
  return text;
}
