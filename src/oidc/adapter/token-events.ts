import type { Db } from '../../db/database.ts';
import { recordEvent } from '../../events/record-event.ts';
import type { Actor } from '../../http/actor.ts';
import { hashId } from './stored-model.ts';

/**
 * One opaque token was revoked by itself. The event names the token by its hash, as the store does: what
 * an auditor reads must open nothing.
 */
export async function recordTokenRevoked(
  trx: Db,
  actor: Actor,
  id: string,
  owner: { client_id: string | null; account_id: string | null },
): Promise<void> {
  await recordEvent(trx, actor, 'token.revoked', {
    target: { type: 'token', id: hashId(id).toString('base64url') },
    data: { client_id: owner.client_id, user_id: owner.account_id },
  });
}
