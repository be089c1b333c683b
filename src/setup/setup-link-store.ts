import type { Db } from '../db/database.ts';

const PURPOSE = 'admin_setup';

interface LinkRow {
  id: string;
  tenant_id: string;
  purpose: string;
  token_hash: Buffer;
  user_id: string | null;
  expires_at: Date;
  consumed_at: Date | null;
  updated_at: Date;
}

/** The set-up links among `one_time_tokens`, bound to a tenant. */
export function setupLinkStore(db: Db, tenantId: string) {
  const links = () => db<LinkRow>('one_time_tokens').where({ tenant_id: tenantId, purpose: PURPOSE });

  return {
    /** Until the transaction ends no other link is issued, so that the newest is the only one. */
    async lock(): Promise<void> {
      await db.raw('SELECT pg_advisory_xact_lock(hashtextextended(?, 0))', [`setup-link:${tenantId}`]);
    },

    async insert(link: { id: string; tokenHash: Buffer; expiresAt: Date }): Promise<void> {
      await db('one_time_tokens').insert({
        id: link.id,
        tenant_id: tenantId,
        purpose: PURPOSE,
        token_hash: link.tokenHash,
        expires_at: link.expiresAt,
      });
    },

    async expireAll(at: Date): Promise<void> {
      await links()
        .whereNull('consumed_at')
        .where('expires_at', '>', at)
        .update({ expires_at: at, updated_at: at });
    },

    async find(tokenHash: Buffer): Promise<{ expiresAt: Date; consumedAt: Date | null } | undefined> {
      const row = await links().where({ token_hash: tokenHash }).first('expires_at', 'consumed_at');
      return row && { expiresAt: row.expires_at, consumedAt: row.consumed_at };
    },

    /** @returns the id of the link that this call, and no other, used up */
    async consume(tokenHash: Buffer, at: Date): Promise<string | undefined> {
      const [row] = await links()
        .where({ token_hash: tokenHash })
        .whereNull('consumed_at')
        .where('expires_at', '>', at)
        .update({ consumed_at: at, updated_at: at })
        .returning('id');
      return row?.id;
    },

    async setOutcome(id: string, userId: string): Promise<void> {
      await links().where({ id }).update({ user_id: userId });
    },

    async findOutcome(tokenHash: Buffer, since: Date): Promise<{ email: string } | undefined> {
      const { rows } = await db.raw<{ rows: { email: string }[] }>(
        `SELECT u.email FROM one_time_tokens t JOIN users u ON u.id = t.user_id
         WHERE t.tenant_id = ? AND t.purpose = ? AND t.token_hash = ? AND t.consumed_at > ?
           AND u.deleted_at IS NULL`,
        [tenantId, PURPOSE, tokenHash, since],
      );
      return rows[0];
    },
  };
}
