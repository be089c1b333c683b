import { hash, pbkdf2, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { hashRaw } from '@node-rs/argon2';
import type { ForeignScheme } from './foreign-hash.ts';
import { createSlowHashes } from './slow-hashes.ts';

const pbkdf2InPool = promisify(pbkdf2);
const scryptInPool: (
  password: Buffer,
  salt: Buffer,
  length: number,
  options: { N: number; r: number; p: number; maxmem: number },
) => Promise<Buffer> = promisify(scrypt);

/** The library's numbers, which it exports as `const enum`s. */
const KINDS = { argon2d: 0, argon2i: 1, argon2id: 2 } as const;
const VERSIONS = { 16: 0, 19: 1 } as const;

/** Computes what a password comes to under another system's scheme, beside the main thread. */
export function createForeignDigests() {
  const slowHashes = createSlowHashes();

  return async function digestOf(password: string, how: ForeignScheme): Promise<Buffer> {
    const bytes = Buffer.from(password, 'utf8');
    switch (how.scheme) {
      case 'argon2':
        return hashRaw(bytes, {
          algorithm: KINDS[how.kind],
          version: VERSIONS[how.version],
          memoryCost: how.memoryKib,
          timeCost: how.passes,
          parallelism: how.lanes,
          outputLen: how.length,
          salt: Buffer.from(how.salt, 'base64'),
        });
      case 'scrypt': {
        const { cost: N, blockSize: r, parallelization: p } = how;
        // Of the library's own accounting, which asks for a little more than the algorithm does.
        const maxmem = 128 * r * (N + p + 32);
        return scryptInPool(bytes, Buffer.from(how.salt, 'base64'), how.length, { N, r, p, maxmem });
      }
      case 'pbkdf2':
        return pbkdf2InPool(bytes, Buffer.from(how.salt, 'base64'), how.iterations, how.length, how.digest);
      case 'salted':
        // A microsecond: no thread is worth that.
        return hash(how.digest, Buffer.concat([bytes, Buffer.from(how.salt, 'base64')]), 'buffer');
      case 'bcrypt':
      case 'md5-crypt':
      case 'sha-crypt':
        return Buffer.from(await slowHashes.digest(password, how));
    }
  };
}
