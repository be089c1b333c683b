import type { Knex } from 'knex';

/** Why and until when an account is locked, and indexes for what becomes due: unlocking and erasing. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE users
      ADD COLUMN lock_cause text,
      ADD COLUMN locked_until timestamptz,
      ADD CONSTRAINT users_lock_cause_check CHECK (lock_cause IN ('guessing', 'administrator'));
    CREATE INDEX users_locked_until_idx ON users (locked_until) WHERE locked_until IS NOT NULL;
    CREATE INDEX users_deleted_at_idx ON users (deleted_at) WHERE deleted_at IS NOT NULL;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP INDEX users_deleted_at_idx, users_locked_until_idx;
    ALTER TABLE users DROP COLUMN lock_cause, DROP COLUMN locked_until;
  `);
}
