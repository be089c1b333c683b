import { hmacSha256 } from '../../lib/key-ring.ts';
import type { KeyRing } from '../../lib/key-ring.ts';
import { hashId, ID_PREFIX } from './stored-model.ts';
import { drawId, slotOf } from './token-slots.ts';

/**
 * The refresh token that follows another one is derived from it, so a client that lost the answer gets
 * the same successor again and one refresh token never has two. Without the key nobody can tell it. It lies
 * in the slot of its parent, since all tokens of a chain are kept until the chain ends.
 */
export function successorId(keyRing: KeyRing, parentId: string, keyId = keyRing.currentId): string {
  return drawId(stemOf(keyRing, parentId, keyId), slotOf(hashId(parentId)));
}

/**
 * What the successor can be that exists already: derived under another key, in the moments after a key
 * change, or by a version that knew no slots.
 */
export function possibleSuccessorIds(keyRing: KeyRing, parentId: string): string[] {
  return keyRing.ids.flatMap((keyId) => [
    successorId(keyRing, parentId, keyId),
    stemOf(keyRing, parentId, keyId),
  ]);
}

function stemOf(keyRing: KeyRing, parentId: string, keyId: string): string {
  const digest = hmacSha256(keyRing.derive('refresh-successor', keyId), parentId);
  return `${ID_PREFIX['RefreshToken']}${digest.toString('base64url')}`;
}
