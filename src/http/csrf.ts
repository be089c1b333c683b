import { randomBytes } from 'node:crypto';
import { defineErrors } from '../lib/errors.ts';
import { equalSecrets } from '../lib/ids.ts';
import { hmacSha256 } from '../lib/key-ring.ts';
import type { AppContext } from './request-state.ts';

/**
 * Keeps other sites from submitting our forms: the browser must not say that the request comes from
 * elsewhere, and the form must carry a token that only we can make for what the form belongs to.
 */

const fail = defineErrors('csrf', {
  foreign_origin: {
    status: 403,
    message: 'This form was sent from another site. Open the page again and retry.',
  },
  bad_token: { status: 403, message: 'This form is no longer valid. Open the page again and retry.' },
});

export interface Csrf {
  /** @param binding what the form belongs to: an interaction's uid, a session's id */
  token(binding: string): string;
  /** @throws {AppError} 403 */
  check(ctx: AppContext, binding: string, token: string | undefined): void;
}

/**
 * @param options.key 32 bytes, for nothing else
 * @param options.publicUrl the only origin whose pages may submit
 */
export function createCsrf({ key, publicUrl }: { key: Buffer; publicUrl: string }): Csrf {
  const publicOrigin = new URL(publicUrl).origin;
  const make = (binding: string, nonce: string) =>
    `${nonce}.${hmacSha256(key, 'csrf', binding, nonce).toString('base64url')}`;

  return {
    // A nonce makes every token different, so that compressed pages do not leak it (BREACH).
    token: (binding) => make(binding, randomBytes(12).toString('base64url')),

    check(ctx, binding, token = '') {
      if (!isOwnOrigin(ctx, publicOrigin)) throw fail('foreign_origin');
      // The text is compared, not the bytes it decodes to: base64url has many spellings of one value.
      const [nonce = ''] = token.split('.', 1);
      if (!equalSecrets(token, make(binding, nonce))) throw fail('bad_token');
    },
  };
}

/**
 * Whatever the browser tells must fit; older browsers tell less, and then the token decides alone.
 * Our pages send no referrer, for which browsers put `Origin: null` on their own forms (Fetch standard,
 * "append a request Origin header"), so `null` says nothing; Sec-Fetch-Site tells these apart.
 */
function isOwnOrigin(ctx: AppContext, publicOrigin: string): boolean {
  const { origin, referer, 'sec-fetch-site': site } = ctx.req.headers;
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  if (origin !== undefined && origin !== 'null') return origin === publicOrigin;
  if (referer === undefined) return true;
  return URL.canParse(referer) && new URL(referer).origin === publicOrigin;
}
