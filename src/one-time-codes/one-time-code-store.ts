import type { Db } from '../db/database.ts';
import type { CodePurpose } from './one-time-code.ts';

const MOST_TRIES = 5;
/** A mail may be late by this much; then the code lives on from its arrival. */
const KEPT_SECONDS = 6 * 3600;

export interface CodeRow {
  id: string;
  purpose: CodePurpose;
  address: string;
  user_id: string | null;
  code_mac: Buffer | null;
  code_key_id: string | null;
  context_sealed: string | null;
  consumed_at: Date | null;
  is_expired: boolean;
}

export interface CodeInsert {
  id: string;
  purpose: CodePurpose;
  tokenHash: Buffer;
  bindingHash: Buffer | undefined;
  address: string;
  userId: string | undefined;
  code: { mac: Buffer; keyId: string } | undefined;
  mailId: string;
  /** From the sending of the mail. */
  ttlSeconds: number;
  contextSealed: string;
}

/**
 * The life of a code begins when its mail is sent, not while that waits in a queue. One that never will be
 * sent lives from its making, so that its end tells nothing.
 */
const EXPIRED = `(t.expires_at <= now() OR now() >= make_interval(secs => t.ttl_seconds) + coalesce(
  (SELECT CASE WHEN m.status IN ('queued', 'sending') THEN now() ELSE coalesce(m.sent_at, t.created_at) END
     FROM mails m WHERE m.id = t.mail_id), t.created_at))`;

const COLUMNS = `t.id, t.purpose, t.address, t.user_id, t.code_mac, t.code_key_id, t.context_sealed,
  t.consumed_at, ${EXPIRED} AS is_expired`;

/** The codes and links among `one_time_tokens`, bound to a tenant. Whatever is decided, a row count decides it. */
export function oneTimeCodeStore(db: Db, tenantId: string) {
  return {
    async insert(code: CodeInsert): Promise<void> {
      await db('one_time_tokens').insert({
        id: code.id,
        tenant_id: tenantId,
        purpose: code.purpose,
        token_hash: code.tokenHash,
        binding_hash: code.bindingHash ?? null,
        address: code.address,
        user_id: code.userId ?? null,
        code_mac: code.code?.mac ?? null,
        code_key_id: code.code?.keyId ?? null,
        mail_id: code.mailId,
        ttl_seconds: code.ttlSeconds,
        context_sealed: code.contextSealed,
        expires_at: db.raw('now() + make_interval(secs => ?)', [code.ttlSeconds + KEPT_SECONDS]),
      });
    },

    /** Ends what the same browser or client was sent before for the same purpose. */
    async supersede(purpose: CodePurpose, bindingHash: Buffer): Promise<void> {
      await db('one_time_tokens')
        .where({ tenant_id: tenantId, purpose, binding_hash: bindingHash })
        .whereNull('consumed_at')
        .where('expires_at', '>', db.fn.now())
        .update({ expires_at: db.fn.now(), updated_at: db.fn.now() });
    },

    /** The same for all of a user's, wherever they were asked for, and for what was proved by them and not used yet. */
    async supersedeOf(userId: string, purpose: CodePurpose): Promise<void> {
      await db('one_time_tokens')
        .where({ tenant_id: tenantId, purpose, user_id: userId })
        .whereNull('consumed_at')
        .update({
          expires_at: db.raw('least(expires_at, now())'),
          proved_at: null,
          updated_at: db.fn.now(),
        });
    },

    /** Keeps all of a user's that are not used up as they are until the transaction ends. */
    async holdOf(userId: string): Promise<void> {
      await db('one_time_tokens')
        .where({ tenant_id: tenantId, user_id: userId })
        .whereNull('consumed_at')
        .orderBy('id')
        .forUpdate()
        .select('id');
    },

    /**
     * Counts a try before it is judged: of any number at once, five get the row to judge by.
     * @returns undefined where there is nothing to try
     */
    async countTry(purpose: CodePurpose, bindingHash: Buffer): Promise<CodeRow | undefined> {
      const { rows } = await db.raw<{ rows: CodeRow[] }>(
        `UPDATE one_time_tokens t SET tries = tries + 1, updated_at = now()
          WHERE t.tenant_id = ? AND t.purpose = ? AND t.binding_hash = ? AND t.consumed_at IS NULL
            AND t.proved_at IS NULL AND t.code_mac IS NOT NULL AND t.tries < ? AND t.expires_at > now()
          RETURNING ${COLUMNS}`,
        [tenantId, purpose, bindingHash, MOST_TRIES],
      );
      return rows[0];
    },

    /** Whom the newest one went to that the same browser or client was sent. */
    async findAddress(purpose: CodePurpose, bindingHash: Buffer): Promise<string | undefined> {
      const row = await db('one_time_tokens')
        .where({ tenant_id: tenantId, purpose, binding_hash: bindingHash })
        .whereNotNull('code_mac')
        .orderBy('created_at', 'desc')
        .first('address');
      return row?.address;
    },

    /** Whether it was used or has ended does not matter. */
    async findPurpose(
      bindingHash: Buffer,
      purposes: readonly CodePurpose[],
    ): Promise<CodePurpose | undefined> {
      const row = await db('one_time_tokens')
        .where({ tenant_id: tenantId, binding_hash: bindingHash })
        .whereIn('purpose', purposes)
        .orderBy('id', 'desc')
        .first('purpose');
      return row?.purpose;
    },

    async findByToken(tokenHash: Buffer): Promise<CodeRow | undefined> {
      const { rows } = await db.raw<{ rows: CodeRow[] }>(
        `SELECT ${COLUMNS} FROM one_time_tokens t
          WHERE t.tenant_id = ? AND t.token_hash = ? AND t.address IS NOT NULL`,
        [tenantId, tokenHash],
      );
      return rows[0];
    },

    /** @returns whether this call, and no other, proved it; never for who did not ask for it */
    async prove(id: string, bindingHash: Buffer): Promise<boolean> {
      const count = await db('one_time_tokens')
        .where({ tenant_id: tenantId, id, binding_hash: bindingHash })
        .whereNull('consumed_at')
        .whereNull('proved_at')
        .update({ proved_at: db.fn.now(), updated_at: db.fn.now() });
      return count === 1;
    },

    /** @returns whether this call, and no other, used it up */
    async consume(id: string): Promise<boolean> {
      const count = await db('one_time_tokens')
        .where({ tenant_id: tenantId, id })
        .whereNull('consumed_at')
        .update({ consumed_at: db.fn.now(), updated_at: db.fn.now() });
      return count === 1;
    },

    async findProved(
      purpose: CodePurpose,
      bindingHash: Buffer,
      withinSeconds: number,
    ): Promise<CodeRow | undefined> {
      const { rows } = await db.raw<{ rows: CodeRow[] }>(
        `SELECT ${COLUMNS} FROM one_time_tokens t
          WHERE t.tenant_id = ? AND t.purpose = ? AND t.binding_hash = ? AND t.consumed_at IS NULL
            AND t.proved_at > now() - make_interval(secs => ?)`,
        [tenantId, purpose, bindingHash, withinSeconds],
      );
      return rows[0];
    },

    /** Of what was proved no longer ago than this: uses it up, once. */
    async consumeProved(
      purpose: CodePurpose,
      bindingHash: Buffer,
      withinSeconds: number,
    ): Promise<CodeRow | undefined> {
      const { rows } = await db.raw<{ rows: CodeRow[] }>(
        `UPDATE one_time_tokens t SET consumed_at = now(), updated_at = now()
          WHERE t.tenant_id = ? AND t.purpose = ? AND t.binding_hash = ? AND t.consumed_at IS NULL
            AND t.proved_at > now() - make_interval(secs => ?)
          RETURNING ${COLUMNS}`,
        [tenantId, purpose, bindingHash, withinSeconds],
      );
      return rows[0];
    },
  };
}
