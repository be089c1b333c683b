import type { Knex } from 'knex';

/** What people ask of their account and get later: a copy of their data, its end. See src/account-portal. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE data_exports (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
      locale text NOT NULL,
      content_sealed text,
      ready_at timestamptz,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT data_exports_ready_check CHECK ((ready_at IS NULL) = (content_sealed IS NULL))
    );
    CREATE UNIQUE INDEX data_exports_waiting_key ON data_exports (user_id) WHERE ready_at IS NULL;
    CREATE INDEX data_exports_user_id_idx ON data_exports (user_id, id);
    CREATE INDEX data_exports_expires_at_idx ON data_exports (expires_at);

    CREATE TABLE account_deletions (
      user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
      tenant_id uuid NOT NULL REFERENCES tenants,
      due_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX account_deletions_due_at_idx ON account_deletions (due_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE account_deletions; DROP TABLE data_exports');
}
