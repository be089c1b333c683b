import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { AppError } from '../lib/errors.ts';
import type { Sealer } from '../lib/sealer.ts';
import { openJwk, sealJwk } from './sealed-jwk.ts';
import type { SealedKey } from './signing-key-store.ts';

const BATCH = 100;

interface SealedRow extends SealedKey {
  tenantId: string;
}

/**
 * Seals every signing key of every tenant under the current master key. Keys can be read, rotated and
 * made meanwhile, and it can run twice at once.
 *
 * @returns how many were sealed anew, how many are still under another master key (made meanwhile by a
 *   process that has the old ring, or impossible to open), and the kids of those that cannot be opened
 */
export async function rewrapSigningKeys({
  db,
  sealer,
  actor,
}: {
  db: Db;
  sealer: Sealer;
  actor: Actor;
}): Promise<{ rewrapped: number; remaining: number; unopenable: string[] }> {
  // A sealer does not tell which key is current, what it seals does.
  const currentKeyId = sealer.keyIdOf(sealer.seal('', 'probe'));
  const unopenable: string[] = [];
  let rewrapped = 0;
  let remaining = 0;

  for await (const row of outdated()) {
    const resealed = reseal(row);
    if (resealed === undefined) unopenable.push(row.kid);
    else if (await replace(row, resealed)) rewrapped += 1;
  }
  for await (const _row of outdated()) remaining += 1;
  return { rewrapped, remaining, unopenable };

  async function* outdated(): AsyncGenerator<SealedRow> {
    for await (const row of sealedRows(db)) {
      if (keyIdOf(row) !== currentKeyId) yield row;
    }
  }

  function keyIdOf(row: SealedRow): string | undefined {
    try {
      return sealer.keyIdOf(row.privateJwkSealed);
    } catch {
      return undefined;
    }
  }

  function reseal(row: SealedRow): string | undefined {
    try {
      return sealJwk(sealer, row.id, openJwk(sealer, row));
    } catch (err) {
      if (!(err instanceof AppError)) throw err;
      return undefined;
    }
  }

  /** One row a transaction: holding several could deadlock with a rotation, which takes them in another order. */
  async function replace(row: SealedRow, resealed: string): Promise<boolean> {
    return db.transaction(async (trx) => {
      const count = await trx('signing_keys')
        // Compare and swap: a key that was erased meanwhile must not get its private half back.
        .where({ tenant_id: row.tenantId, id: row.id, private_jwk_sealed: row.privateJwkSealed })
        .update({ private_jwk_sealed: resealed, updated_at: trx.fn.now() });
      if (count === 0) return false;
      await recordEvent(trx, { ...actor, tenantId: row.tenantId }, 'signing_key.rewrapped', {
        target: { type: 'signing_key', id: row.kid },
        data: { before: { masterKeyId: keyIdOf(row) }, after: { masterKeyId: currentKeyId } },
      });
      return true;
    });
  }
}

async function* sealedRows(db: Db): AsyncGenerator<SealedRow> {
  let after: string | undefined;
  for (;;) {
    const query = db('signing_keys')
      .whereNotNull('private_jwk_sealed')
      .orderBy('id')
      .limit(BATCH)
      .select<SealedRow[]>('id', 'kid', 'alg', {
        tenantId: 'tenant_id',
        privateJwkSealed: 'private_jwk_sealed',
      });
    const rows: SealedRow[] = await (after === undefined ? query : query.where('id', '>', after));
    yield* rows;
    after = rows.at(-1)?.id;
    if (after === undefined) return;
  }
}
