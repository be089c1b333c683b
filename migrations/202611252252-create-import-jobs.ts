import type { Knex } from 'knex';

/** Imports of users: how far each has come, so that it goes on after an interruption, and which rows failed. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE import_jobs (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      status text NOT NULL DEFAULT 'running',
      -- SHA-256 of what is imported and how: the same again goes on where it ended.
      source_hash bytea NOT NULL,
      -- Records of the source that are settled; the counts below add up to it.
      position bigint NOT NULL DEFAULT 0,
      created_count bigint NOT NULL DEFAULT 0,
      updated_count bigint NOT NULL DEFAULT 0,
      skipped_count bigint NOT NULL DEFAULT 0,
      failed_count bigint NOT NULL DEFAULT 0,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT import_jobs_status_check CHECK (status IN ('running', 'done')),
      CONSTRAINT import_jobs_counts_check
        CHECK (position = created_count + updated_count + skipped_count + failed_count)
    );
    CREATE UNIQUE INDEX import_jobs_running_key ON import_jobs (tenant_id, source_hash) WHERE status = 'running';

    CREATE TABLE import_faults (
      job_id uuid NOT NULL REFERENCES import_jobs ON DELETE CASCADE,
      tenant_id uuid NOT NULL REFERENCES tenants,
      -- The record's place in the source, and the line it begins on.
      position bigint NOT NULL,
      line bigint NOT NULL,
      code text NOT NULL,
      message text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (job_id, position)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE import_faults, import_jobs');
}
