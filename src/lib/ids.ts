import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

// The random half of the next ids: asked for one by one, it would be most of what an id costs.
const RANDOM_SIZE = 10;
let randomPool = Buffer.alloc(0);
let randomUsed = 0;

/** A UUIDv7 (RFC 9562 §5.7): sorts by the time it was made. */
export function newId(now: Date = new Date()): string {
  if (randomUsed + RANDOM_SIZE > randomPool.length) {
    randomPool = randomBytes(RANDOM_SIZE * 256);
    randomUsed = 0;
  }
  const bytes = Buffer.allocUnsafe(16);
  randomPool.copy(bytes, 6, randomUsed, randomUsed + RANDOM_SIZE);
  randomUsed += RANDOM_SIZE;
  bytes.writeUIntBE(now.getTime(), 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Whether the text is a UUID in canonical lower-case form; a query by anything else would be a database error. */
export function isId(text: string): boolean {
  return UUID.test(text);
}

/** An unguessable secret of 256 bits, base64url so that it needs no encoding in headers and URLs. */
export function newSecret(prefix?: string): string {
  const secret = randomBytes(32).toString('base64url');
  return prefix === undefined ? secret : `${prefix}_${secret}`;
}

export function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/** Compares in constant time; hashing first hides the lengths. */
export function equalSecrets(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}
