import type { Knex } from 'knex';

/** What the JSON API keeps: answers of repeatable requests, people's preferences, and addresses by their beginning. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE idempotency_keys (
      tenant_id uuid NOT NULL REFERENCES tenants (id),
      id_hash bytea NOT NULL,
      request_hash bytea NOT NULL,
      reply_sealed text,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, id_hash)
    );
    CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);

    CREATE TABLE user_preferences (
      user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
      tenant_id uuid NOT NULL REFERENCES tenants (id),
      preferences jsonb NOT NULL DEFAULT '{}',
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );

    CREATE INDEX users_email_prefix_idx ON users (tenant_id, lower(email) text_pattern_ops) WHERE deleted_at IS NULL;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP INDEX users_email_prefix_idx;
    DROP TABLE user_preferences;
    DROP TABLE idempotency_keys;
  `);
}
