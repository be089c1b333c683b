import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';

/** What Koa's cookies need to sign and verify. */
interface CookieSigner {
  sign(data: string): string;
  verify(data: string, signature: string): boolean;
  /** @returns which key signed; -1: none */
  index(data: string, signature: string): number;
}

/**
 * Signs as Koa's own keygrip does, so that either verifies the other's cookies: HMAC-SHA-1, which nobody forges
 * (RFC 6194 §3.3), in base64url. Unlike that it prepares its keys once, and not for every cookie of every request.
 *
 * @param keys the first one signs, all of them verify
 */
export function createCookieSigner(keys: readonly string[]): CookieSigner {
  const prepared = keys.map((key) => createSecretKey(Buffer.from(key)));
  const [newest] = prepared;
  if (!newest) throw new TypeError('signing cookies needs at least one key');

  const signWith = (key: typeof newest, data: string) =>
    createHmac('sha1', key).update(data).digest('base64url');
  const index = (data: string, signature: string) =>
    prepared.findIndex((key) => isEqual(signWith(key, data), signature));

  return {
    sign: (data) => signWith(newest, data),
    verify: (data, signature) => index(data, signature) !== -1,
    index,
  };
}

/** The text is compared, since base64url has several spellings of one value; what is expected has a fixed length. */
function isEqual(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}
