import { z } from 'zod';

/**
 * Password hashes that another system made. What is stored of one are its scheme, parameters and salt, and in place of
 * its digest an HMAC of it under the pepper: whoever steals the database can try no password, however weak the scheme is.
 */

const salt = z.base64();

const schemaOfScheme = z.discriminatedUnion('scheme', [
  z.strictObject({
    scheme: z.literal('argon2'),
    kind: z.enum(['argon2d', 'argon2i', 'argon2id']),
    version: z.literal([16, 19]),
    memoryKib: z.int(),
    passes: z.int(),
    lanes: z.int(),
    length: z.int(),
    salt,
  }),
  /** `salt` in bcrypt's own alphabet; `prehash`: of Django's `bcrypt_sha256`. */
  z.strictObject({
    scheme: z.literal('bcrypt'),
    cost: z.int(),
    salt: z.string(),
    prehash: z.literal('sha256-hex').optional(),
  }),
  z.strictObject({
    scheme: z.literal('scrypt'),
    cost: z.int(),
    blockSize: z.int(),
    parallelization: z.int(),
    length: z.int(),
    salt,
  }),
  z.strictObject({
    scheme: z.literal('pbkdf2'),
    digest: z.enum(['sha1', 'sha256', 'sha512']),
    iterations: z.int(),
    length: z.int(),
    salt,
  }),
  z.strictObject({ scheme: z.literal('salted'), digest: z.enum(['sha1', 'sha256', 'sha512']), salt }),
  z.strictObject({ scheme: z.literal('md5-crypt'), magic: z.enum(['$1$', '$apr1$']), salt: z.string() }),
  z.strictObject({
    scheme: z.literal('sha-crypt'),
    digest: z.enum(['sha256', 'sha512']),
    rounds: z.int(),
    salt: z.string(),
  }),
]);

/** How a digest is made from a password. Salts are in base64 unless they are text themselves. */
export type ForeignScheme = z.output<typeof schemaOfScheme>;

export interface ForeignHash {
  how: ForeignScheme;
  /** What it comes to for the right password: bytes, or the characters of a `crypt` hash. */
  digest: Buffer;
}

const PREFIX = 'foreign:1:';

export function isForeign(stored: string): boolean {
  return stored.startsWith(PREFIX);
}

/** @param digest peppered */
export function formatForeign({ how, digest }: ForeignHash): string {
  return `${PREFIX}${Buffer.from(JSON.stringify(how)).toString('base64url')}:${digest.toString('base64url')}`;
}

/** @throws {Error} for anything else: a damaged row is a fault to repair, not a wrong password */
export function parseStoredForeign(stored: string): ForeignHash {
  const [how = '', digest = ''] = stored.slice(PREFIX.length).split(':');
  try {
    return {
      how: schemaOfScheme.parse(JSON.parse(Buffer.from(how, 'base64url').toString('utf8'))),
      digest: Buffer.from(digest, 'base64url'),
    };
  } catch (err) {
    throw new Error('a stored foreign password hash is damaged', { cause: err });
  }
}
