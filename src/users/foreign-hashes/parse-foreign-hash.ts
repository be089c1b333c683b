import { defineErrors } from '../../lib/errors.ts';
import type { ForeignHash, ForeignScheme } from './foreign-hash.ts';

/**
 * Reads the encodings in which other systems keep password hashes. What would take too long to verify is refused here,
 * once, so that nobody can make every sign-in of an account cost a minute.
 */

const fail = defineErrors('password', {
  hash_unsupported: { status: 400, message: 'This is no password hash of a kind that can be imported.' },
  hash_too_costly: { status: 400, message: 'This password hash would take too long to verify.' },
});

const LONGEST_TEXT = 1024;
const SHORTEST_DIGEST = 16;
const LONGEST_DIGEST = 128;
const LONGEST_SALT = 128;

const MOST = {
  argon2MemoryKib: 262_144,
  /** Memory times passes. */
  argon2Work: 1_048_576,
  argon2Lanes: 16,
  bcryptCost: 14,
  scryptBytes: 268_435_456,
  scryptParallelization: 16,
  pbkdf2Iterations: 2_000_000,
  shaCryptRounds: 500_000,
} as const;

type Reader = (match: RegExpExecArray) => ForeignHash | undefined;

const B64 = '[A-Za-z0-9+/.]+={0,2}';
const CRYPT = '[./A-Za-z0-9]';

/** One line an encoding. */
const FORMATS: readonly (readonly [RegExp, Reader])[] = [
  // PHC, as everybody writes argon2.
  [
    re(`\\$(argon2(?:id|i|d))\\$(?:v=(\\d+)\\$)?m=(\\d+),t=(\\d+),p=(\\d+)\\$(${B64})\\$(${B64})`),
    ([, kind, version = '16', m, t, p, salt, digest]) => {
      if (version !== '16' && version !== '19') return undefined;
      const bytes = base64(digest);
      return {
        how: {
          scheme: 'argon2',
          kind: kind as 'argon2id',
          version: version === '16' ? 16 : 19,
          memoryKib: Number(m),
          passes: Number(t),
          lanes: Number(p),
          length: bytes.length,
          salt: canonical(salt),
        },
        digest: bytes,
      };
    },
  ],
  // crypt(3), also behind Django's name for it and as an LDAP scheme.
  [
    re(`(?:bcrypt\\$|\\{CRYPT\\})?\\$2[aby]\\$(\\d\\d)\\$(${CRYPT}{22})(${CRYPT}{31})`),
    ([, cost, salt = '', digest = '']) => bcrypt(Number(cost), salt, digest),
  ],
  [
    re(`bcrypt_sha256\\$\\$2[aby]\\$(\\d\\d)\\$(${CRYPT}{22})(${CRYPT}{31})`),
    ([, cost, salt = '', digest = '']) => bcrypt(Number(cost), salt, digest, 'sha256-hex'),
  ],
  // PHC and passlib.
  [
    re(`\\$scrypt\\$ln=(\\d{1,2}),r=(\\d+),p=(\\d+)\\$(${B64})\\$(${B64})`),
    ([, ln, r, p, salt, digest]) =>
      scrypt(2 ** Number(ln), Number(r), Number(p), canonical(salt), base64(digest)),
  ],
  // Django; its salt is text.
  [
    re(`scrypt\\$([^$]+)\\$(\\d+)\\$(\\d+)\\$(\\d+)\\$(${B64})`),
    ([, salt, n, r, p, digest]) => scrypt(Number(n), Number(r), Number(p), ofText(salt), base64(digest)),
  ],
  // passlib (`$pbkdf2$` is SHA-1), and PHC with its `i=`.
  [
    re(`\\$pbkdf2(?:-(sha1|sha256|sha512))?\\$(?:i=)?(\\d+)(?:,l=\\d+)?\\$(${B64})\\$(${B64})`),
    ([, digest = 'sha1', iterations, salt, value]) =>
      pbkdf2(digest, iterations, canonical(salt), base64(value)),
  ],
  // LDAP servers.
  [
    re(`\\{PBKDF2(?:[-_](SHA1|SHA256|SHA512))?\\}(\\d+)\\$(${B64})\\$(${B64})`),
    ([, digest = 'SHA1', iterations, salt, value]) =>
      pbkdf2(digest.toLowerCase(), iterations, canonical(salt), base64(value)),
  ],
  // Django; its salt is text.
  [
    re(`pbkdf2_(sha1|sha256|sha512)\\$(\\d+)\\$([^$]+)\\$(${B64})`),
    ([, digest, iterations, salt, value]) => pbkdf2(digest, iterations, ofText(salt), base64(value)),
  ],
  // RFC 2307bis: the digest, then the salt.
  [re(`\\{SSHA\\}(${B64})`), ([, value]) => salted('sha1', 20, base64(value))],
  [re(`\\{SSHA256\\}(${B64})`), ([, value]) => salted('sha256', 32, base64(value))],
  [re(`\\{SSHA512\\}(${B64})`), ([, value]) => salted('sha512', 64, base64(value))],
  [
    re(`(?:\\{CRYPT\\})?(\\$1\\$|\\$apr1\\$)([^$]{0,8})\\$(${CRYPT}{22})`),
    ([, magic, salt = '', digest = '']) => ({
      how: { scheme: 'md5-crypt', magic: magic as '$1$', salt },
      digest: Buffer.from(digest),
    }),
  ],
  [
    re(`(?:\\{CRYPT\\})?\\$5\\$(?:rounds=(\\d+)\\$)?([^$]{0,16})\\$(${CRYPT}{43})`),
    ([, rounds = '5000', salt = '', digest = '']) => shaCrypt('sha256', Number(rounds), salt, digest),
  ],
  [
    re(`(?:\\{CRYPT\\})?\\$6\\$(?:rounds=(\\d+)\\$)?([^$]{0,16})\\$(${CRYPT}{86})`),
    ([, rounds = '5000', salt = '', digest = '']) => shaCrypt('sha512', Number(rounds), salt, digest),
  ],
  // ASP.NET Core Identity: a blob, version 2 or 3.
  [re(`(A[A-Za-z0-9+/]{40,}={0,2})`), ([, blob]) => aspNetIdentity(base64(blob))],
];

/**
 * @throws {AppError} `password.hash_unsupported`, `password.hash_too_costly`; neither repeats the text
 */
export function parseForeignHash(text: string): ForeignHash {
  for (const [pattern, read] of text.length > LONGEST_TEXT ? [] : FORMATS) {
    const match = pattern.exec(text);
    const found = match && read(match);
    if (!found) continue;
    if (!isSound(found)) break;
    if (isTooCostly(found.how)) throw fail('hash_too_costly');
    return found;
  }
  throw fail('hash_unsupported');
}

/** A digest of few bits would be met by many passwords. */
function isSound({ how, digest }: ForeignHash): boolean {
  return (
    digest.length >= SHORTEST_DIGEST &&
    digest.length <= LONGEST_DIGEST &&
    how.salt.length <= LONGEST_SALT * 2 &&
    Object.values(how).every(
      (value) => typeof value !== 'number' || (Number.isSafeInteger(value) && value > 0),
    )
  );
}

function isTooCostly(how: ForeignScheme): boolean {
  switch (how.scheme) {
    case 'argon2':
      return (
        how.memoryKib > MOST.argon2MemoryKib ||
        how.memoryKib * how.passes > MOST.argon2Work ||
        how.lanes > MOST.argon2Lanes
      );
    case 'bcrypt':
      return how.cost > MOST.bcryptCost;
    case 'scrypt':
      return (
        128 * how.cost * how.blockSize > MOST.scryptBytes || how.parallelization > MOST.scryptParallelization
      );
    case 'pbkdf2':
      return how.iterations > MOST.pbkdf2Iterations;
    case 'sha-crypt':
      return how.rounds > MOST.shaCryptRounds;
    case 'salted':
    case 'md5-crypt':
      return false;
  }
}

function bcrypt(cost: number, salt: string, digest: string, prehash?: 'sha256-hex'): ForeignHash | undefined {
  if (cost < 4) return undefined;
  return { how: { scheme: 'bcrypt', cost, salt, ...(prehash && { prehash }) }, digest: Buffer.from(digest) };
}

function scrypt(cost: number, blockSize: number, parallelization: number, salt: string, digest: Buffer) {
  // RFC 7914 §6; the library would refuse anything else at every sign-in.
  if (cost < 2 || !Number.isInteger(Math.log2(cost))) return undefined;
  const length = digest.length;
  return { how: { scheme: 'scrypt', cost, blockSize, parallelization, length, salt }, digest } as const;
}

function pbkdf2(name: string | undefined, iterations: string | undefined, salt: string, digest: Buffer) {
  const length = digest.length;
  const how = {
    scheme: 'pbkdf2',
    digest: name as 'sha1',
    iterations: Number(iterations),
    length,
    salt,
  } as const;
  return { how, digest };
}

function salted(name: 'sha1' | 'sha256' | 'sha512', length: number, bytes: Buffer): ForeignHash | undefined {
  if (bytes.length <= length) return undefined;
  const salt = bytes.subarray(length).toString('base64');
  return { how: { scheme: 'salted', digest: name, salt }, digest: bytes.subarray(0, length) };
}

function shaCrypt(name: 'sha256' | 'sha512', asked: number, salt: string, digest: string): ForeignHash {
  // The specification takes fewer than a thousand for a thousand.
  const rounds = Math.max(1000, asked);
  return { how: { scheme: 'sha-crypt', digest: name, rounds, salt }, digest: Buffer.from(digest) };
}

function aspNetIdentity(blob: Buffer): ForeignHash | undefined {
  if (blob[0] === 0 && blob.length === 49) {
    return pbkdf2('sha1', '1000', blob.toString('base64', 1, 17), blob.subarray(17));
  }
  if (blob[0] !== 1 || blob.length < 13 + 16 + SHORTEST_DIGEST) return undefined;
  const name = ['sha1', 'sha256', 'sha512'][blob.readUInt32BE(1)];
  const end = 13 + blob.readUInt32BE(9);
  if (name === undefined || end > blob.length) return undefined;
  return pbkdf2(name, String(blob.readUInt32BE(5)), blob.toString('base64', 13, end), blob.subarray(end));
}

function re(source: string): RegExp {
  return new RegExp(`^${source}$`);
}

/** Base64 with or without padding, also passlib's, which writes `.` for `+`. */
function base64(text = ''): Buffer {
  return Buffer.from(text.replaceAll('.', '+'), 'base64');
}

function canonical(text: string | undefined): string {
  return base64(text).toString('base64');
}

function ofText(text = ''): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
