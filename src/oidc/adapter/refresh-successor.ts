import { hmacSha256 } from '../../lib/key-ring.ts';
import type { KeyRing } from '../../lib/key-ring.ts';
import { ID_PREFIX } from './stored-model.ts';

/**
 * The refresh token that follows another one is derived from it, so a client that lost the answer gets
 * the same successor again and one refresh token never has two. Without the key nobody can tell it.
 * @returns the id under the newest key first, then under the older ones, for the moments after a key change
 */
export function successorIds(keyRing: KeyRing, parentId: string): [string, ...string[]] {
  const ids = keyRing.ids.map((keyId) => {
    const digest = hmacSha256(keyRing.derive('refresh-successor', keyId), parentId);
    return `${ID_PREFIX['RefreshToken']}${digest.toString('base64url')}`;
  });
  return ids as [string, ...string[]];
}
