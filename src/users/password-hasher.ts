import { createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto';
import { hashRaw } from '@node-rs/argon2';
import type { KeyRing } from '../lib/key-ring.ts';
import { passwordError, unacceptablePassword } from './password-errors.ts';
import type { PasswordFault } from './password-errors.ts';
import { createForeignDigests } from './foreign-hashes/foreign-digests.ts';
import { formatForeign, isForeign, parseStoredForeign } from './foreign-hashes/foreign-hash.ts';
import { parseForeignHash } from './foreign-hashes/parse-foreign-hash.ts';
import { formatPhc, parsePhc } from './phc.ts';
import type { Argon2Parameters } from './phc.ts';
import { NoTurnError, createWorkQueue } from './work-queue.ts';

/**
 * Turns passwords into what the database may hold and back into a yes or no: argon2id (RFC 9106) under a pepper that the
 * database does not know. Which passwords are good enough is the policy's question, not this file's.
 */

/** The least that OWASP advises for argon2id; a change rehashes everybody's password at their next sign-in. */
const ARGON2_PARAMETERS: Argon2Parameters = { memoryKib: 19_456, passes: 2, lanes: 1 };

/** Of the normalised UTF-8 text; 256 characters of the widest kind. Argon2 itself truncates nothing. */
const MAX_PASSWORD_BYTES = 1024;
const SALT_BYTES = 16;
const DIGEST_BYTES = 32;
const RETRY_AFTER_SECONDS = 2;

const RELEASED = /^gatehouse:(?<pepper>[0-9a-f]{8}):(?<hash>.{1,2048})$/;
const MOST_KIB = 262_144;

export interface StoredPassword {
  /**
   * `$argon2id$v=19$m=…,t=…,p=…$salt$digest`, the digest being HMAC-SHA-256(pepper, argon2id output); or an imported hash
   * in the form of `foreign-hash.ts`, peppered in the same way.
   */
  hash: string;
  /** Which key of the ring the pepper is derived from. */
  pepperId: string;
}

export interface PasswordHasher {
  /**
   * @throws {AppError} `password.unacceptable` for text no verification could accept, `password.busy` (503) when too many
   *   wait already
   */
  hash(password: string): Promise<StoredPassword>;
  /**
   * Costs the same whether there is a stored password or not, so that the time does not tell who exists.
   * @throws {AppError} `password.busy`
   * @throws {Error} when the pepper is not in the ring: that is the operator's fault and must not look like a wrong password
   */
  verify(password: string, stored: StoredPassword | undefined): Promise<boolean>;
  /**
   * Makes a hash of another system one that `verify` understands.
   * @param text in any encoding of `parse-foreign-hash.ts`, or what `release` gave out under the same peppers
   * @throws {AppError} `password.hash_unsupported`, `password.hash_too_costly`
   */
  adopt(text: string): StoredPassword;
  /** The stored password as text for `adopt`; worth nothing without the pepper. */
  release(stored: StoredPassword): string;
  /** Whether the stored password was made with other parameters or another pepper than new ones are. */
  needsRehash(stored: StoredPassword): boolean;
  stats(): { running: number; queued: number; rejected: number };
}

/**
 * @param peppers the operator's pepper keys; the first makes new hashes, all verify
 * @param concurrency hashes at the same time; each takes one thread of libuv's pool and 19 MiB
 * @param maxQueue how many more may wait for their turn
 */
export function createPasswordHasher({
  peppers,
  concurrency,
  maxQueue,
  parameters = ARGON2_PARAMETERS,
}: {
  peppers: KeyRing;
  concurrency: number;
  maxQueue: number;
  parameters?: Argon2Parameters;
}): PasswordHasher {
  const queue = createWorkQueue({ concurrency, maxQueue });
  const foreignDigestOf = createForeignDigests();
  const nobody = { parameters, salt: randomBytes(SALT_BYTES), digest: randomBytes(DIGEST_BYTES) };

  async function digestOf(password: Buffer, salt: Buffer, cost: Argon2Parameters, pepper: Buffer) {
    const output = await inTurn(() =>
      hashRaw(password, {
        memoryCost: cost.memoryKib,
        timeCost: cost.passes,
        parallelism: cost.lanes,
        outputLen: DIGEST_BYTES,
        salt,
      }),
    );
    return peppered(pepper, output);
  }

  /** Typed text may be what was hashed there, or what a keyboard of another kind sends for the same. */
  async function matchesForeign(password: string, { hash, pepperId }: StoredPassword): Promise<boolean> {
    const { how, digest: expected } = parseStoredForeign(hash);
    const pepper = pepperOf(peppers, pepperId);
    for (const spelling of new Set([password, password.normalize('NFC')])) {
      const output = await inTurn(() => foreignDigestOf(spelling, how));
      if (timingSafeEqual(peppered(pepper, output), expected)) return true;
    }
    return false;
  }

  function adoptOwn(stored: StoredPassword): StoredPassword {
    if (!peppers.ids.includes(stored.pepperId)) throw passwordError('hash_foreign_pepper');
    try {
      if (isForeign(stored.hash)) parseStoredForeign(stored.hash);
      else if (!isOwnCost(parsePhc(stored.hash).parameters)) throw new Error('its cost is not one of ours');
      return stored;
    } catch (err) {
      throw passwordError('hash_damaged', { cause: err });
    }
  }

  async function inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    try {
      return await queue.run(task);
    } catch (err) {
      if (!(err instanceof NoTurnError)) throw err;
      throw passwordError('busy', { cause: err, retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
  }

  return {
    async hash(password) {
      const bytes = passwordBytes(password);
      if (!bytes) throw unacceptablePassword([unhashable(password)]);
      const pepperId = peppers.currentId;
      const salt = randomBytes(SALT_BYTES);
      const digest = await digestOf(bytes, salt, parameters, pepperOf(peppers, pepperId));
      return { hash: formatPhc({ parameters, salt, digest }), pepperId };
    },

    async verify(password, stored) {
      const bytes = passwordBytes(password);
      const pepper = pepperOf(peppers, stored?.pepperId ?? peppers.currentId);
      const foreign = stored && isForeign(stored.hash) ? stored : undefined;
      const expected = stored && !foreign ? parsePhc(stored.hash) : nobody;
      const digest = await digestOf(bytes ?? Buffer.alloc(0), expected.salt, expected.parameters, pepper);
      const isEqual = timingSafeEqual(digest, expected.digest);
      // After a hash of ours, so that a cheap one of another system's does not tell that its owner exists.
      if (foreign) return bytes !== undefined && (await matchesForeign(password, foreign));
      return isEqual && stored !== undefined && bytes !== undefined;
    },

    adopt(text) {
      const released = RELEASED.exec(text)?.groups;
      if (released) return adoptOwn({ hash: released['hash'] ?? '', pepperId: released['pepper'] ?? '' });
      const { how, digest } = parseForeignHash(text);
      const pepperId = peppers.currentId;
      return {
        hash: formatForeign({ how, digest: peppered(pepperOf(peppers, pepperId), digest) }),
        pepperId,
      };
    },

    release: ({ hash, pepperId }) => `gatehouse:${pepperId}:${hash}`,

    needsRehash(stored) {
      if (isForeign(stored.hash)) return true;
      const { parameters: used } = parsePhc(stored.hash);
      return (
        stored.pepperId !== peppers.currentId ||
        used.memoryKib !== parameters.memoryKib ||
        used.passes !== parameters.passes ||
        used.lanes !== parameters.lanes
      );
    },

    stats: () => queue.stats(),
  };
}

function unhashable(password: string): PasswordFault {
  return password.isWellFormed()
    ? { code: 'password.too_long', values: { max: MAX_PASSWORD_BYTES / 4 } }
    : { code: 'password.not_typeable' };
}

/** Nobody can make such a hash without the pepper, but a file can say anything. */
function isOwnCost({ memoryKib, passes, lanes }: Argon2Parameters): boolean {
  return (
    memoryKib <= MOST_KIB && passes > 0 && lanes > 0 && memoryKib * passes <= 4 * MOST_KIB && lanes <= 16
  );
}

function peppered(pepper: Buffer, output: Buffer): Buffer {
  return createHmac('sha256', createSecretKey(pepper)).update(output).digest();
}

function pepperOf(peppers: KeyRing, id: string): Buffer {
  return peppers.derive('password-pepper', id);
}

/**
 * One spelling for one password: a keyboard may send `é` as one code point or as two (SP 800-63B §3.1.1.2).
 * @returns undefined for text that is too long, or that UTF-8 cannot hold and that would become equal to other such text
 */
function passwordBytes(password: string): Buffer | undefined {
  // Normalising makes text at most four times shorter; whatever is longer than this cannot fit.
  if (password.length > 4 * MAX_PASSWORD_BYTES || !password.isWellFormed()) return undefined;
  const bytes = Buffer.from(password.normalize('NFC'), 'utf8');
  return bytes.length > MAX_PASSWORD_BYTES ? undefined : bytes;
}
