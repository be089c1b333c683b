import type { Knex } from 'knex';

/** When somebody was last asked for what their profile lacks; see src/interactions/profile-step.ts. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE user_profiles ADD COLUMN asked_at timestamptz');
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE user_profiles DROP COLUMN asked_at');
}
