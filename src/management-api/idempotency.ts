import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import type { OnceRequest, StoredReply } from '../http/caller.ts';
import { defineErrors } from '../lib/errors.ts';
import { sha256 } from '../lib/ids.ts';
import { hmacSha256 } from '../lib/key-ring.ts';
import type { KeyRing } from '../lib/key-ring.ts';
import type { Sealer } from '../lib/sealer.ts';

/**
 * `Idempotency-Key`: a client that does not know whether its request arrived sends it again, and gets the
 * first one's answer. Keys belong to a tenant and an actor. Answers may hold secrets that are shown only
 * once, so they are sealed; refusals are not kept, since the same request may succeed later.
 */
const KEPT_SECONDS = 86_400;
/** Longer than any request runs: after it, whoever began is taken for dead. */
const UNDER_WAY_SECONDS = 60;

const fail = defineErrors('idempotency', {
  key_reused: { status: 422, message: 'This `Idempotency-Key` was used for another request.' },
  in_progress: { status: 409, message: 'A request with this `Idempotency-Key` is under way.' },
});

export async function runOnce(
  { db, sealer, keyRing, tenantId }: { db: Db; sealer: Sealer; keyRing: KeyRing; tenantId: string },
  { actorId, key, fingerprint }: OnceRequest,
  work: () => Promise<StoredReply>,
): Promise<StoredReply> {
  const keys = idempotencyStore(db, tenantId);
  const id = sha256(JSON.stringify([actorId, key]));
  // Keyed, since what a request holds can be guessed, as a password can.
  const [request, ...older] = keyRing.ids.map((keyId) =>
    hmacSha256(keyRing.derive('idempotency', keyId), fingerprint),
  ) as [Buffer, ...Buffer[]];
  const place = `idempotency_keys:reply:${tenantId}:${id.toString('hex')}`;

  if (!(await keys.begin(id, request))) {
    const known = await keys.find(id);
    if (known && ![request, ...older].some((hash) => hash.equals(known.request_hash)))
      throw fail('key_reused');
    if (!known?.reply_sealed) throw fail('in_progress', { retryAfterSeconds: 1 });
    const reply = JSON.parse(sealer.open(known.reply_sealed, place)) as StoredReply;
    return { ...reply, headers: { ...reply.headers, 'Idempotency-Replayed': 'true' } };
  }

  let reply: StoredReply;
  try {
    reply = await work();
  } catch (err) {
    await keys.forget(id);
    throw err;
  }
  await keys.finish(id, sealer.seal(JSON.stringify(reply), place));
  return reply;
}

/** The queries of `idempotency_keys`, bound to a tenant. */
function idempotencyStore(db: Db, tenantId: string) {
  return {
    /** @returns whether this call is the one that does the work */
    async begin(id: Buffer, request: Buffer): Promise<boolean> {
      const { rowCount } = await prepared(
        db,
        'idempotency-begin',
        `INSERT INTO idempotency_keys AS k (tenant_id, id_hash, request_hash, expires_at)
         VALUES (?, ?, ?, now() + make_interval(secs => ?::float8))
         ON CONFLICT (tenant_id, id_hash) DO UPDATE
           SET request_hash = excluded.request_hash, reply_sealed = NULL, expires_at = excluded.expires_at,
               updated_at = now()
           WHERE k.expires_at < now()`,
        [tenantId, id, request, UNDER_WAY_SECONDS],
      );
      return rowCount === 1;
    },

    async find(id: Buffer): Promise<{ request_hash: Buffer; reply_sealed: string | null } | undefined> {
      return db('idempotency_keys')
        .where({ tenant_id: tenantId, id_hash: id })
        .first('request_hash', 'reply_sealed');
    },

    async finish(id: Buffer, replySealed: string): Promise<void> {
      await prepared(
        db,
        'idempotency-finish',
        `UPDATE idempotency_keys SET reply_sealed = ?, expires_at = now() + make_interval(secs => ?::float8),
           updated_at = now()
         WHERE tenant_id = ? AND id_hash = ?`,
        [replySealed, KEPT_SECONDS, tenantId, id],
      );
    },

    async forget(id: Buffer): Promise<void> {
      await db('idempotency_keys').where({ tenant_id: tenantId, id_hash: id }).delete();
    },
  };
}
