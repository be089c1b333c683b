import type { Knex } from 'knex';

/** Counts how often all access of a person has ended; see src/oidc/adapter/sign-in-guards.ts. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE users ADD COLUMN access_version integer NOT NULL DEFAULT 0');
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE users DROP COLUMN access_version');
}
