import type { Knex } from 'knex';

/** Codes beside the links of `one_time_tokens`; see src/one-time-codes/one-time-codes.ts. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE one_time_tokens
      -- Whom it was sent to, who need not be a user.
      ADD COLUMN address text,
      -- SHA-256 of what the asking browser or client holds: nobody else can try the code.
      ADD COLUMN binding_hash bytea,
      -- HMAC under the key ring: six digits are guessed from a plain hash in no time.
      ADD COLUMN code_mac bytea,
      ADD COLUMN code_key_id text,
      ADD COLUMN tries smallint NOT NULL DEFAULT 0,
      ADD COLUMN proved_at timestamptz,
      ADD COLUMN mail_id uuid,
      -- How long it is good for once its mail is sent; without it expires_at alone decides.
      ADD COLUMN ttl_seconds integer,
      ADD COLUMN context_sealed text;
    CREATE INDEX one_time_tokens_binding_idx ON one_time_tokens (tenant_id, purpose, binding_hash)
      WHERE binding_hash IS NOT NULL;
    CREATE INDEX one_time_tokens_user_idx ON one_time_tokens (user_id) WHERE user_id IS NOT NULL;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP INDEX one_time_tokens_binding_idx, one_time_tokens_user_idx;
    ALTER TABLE one_time_tokens DROP COLUMN address, DROP COLUMN binding_hash, DROP COLUMN code_mac,
      DROP COLUMN code_key_id, DROP COLUMN tries, DROP COLUMN proved_at, DROP COLUMN mail_id,
      DROP COLUMN ttl_seconds, DROP COLUMN context_sealed;
  `);
}
