import type { Knex } from 'knex';

/** Imports of users are forgotten a month after they last went on; their faults go first, in batches of their own. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE import_jobs ADD COLUMN expires_at timestamptz NOT NULL DEFAULT now() + interval '30 days';
    ALTER TABLE import_faults ADD COLUMN expires_at timestamptz NOT NULL DEFAULT now() + interval '30 days';
    CREATE INDEX import_jobs_expires_at_idx ON import_jobs (expires_at);
    CREATE INDEX import_faults_expires_at_idx ON import_faults (expires_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(
    'ALTER TABLE import_faults DROP COLUMN expires_at; ALTER TABLE import_jobs DROP COLUMN expires_at',
  );
}
