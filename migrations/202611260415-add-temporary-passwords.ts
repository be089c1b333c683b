import type { Knex } from 'knex';

/** Passwords that somebody else chose, which last until their owner signs in; see src/users/temporary-passwords.ts. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE password_credentials ADD COLUMN is_temporary boolean NOT NULL DEFAULT false;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE password_credentials DROP COLUMN is_temporary');
}
