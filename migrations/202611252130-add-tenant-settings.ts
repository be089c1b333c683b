import type { Knex } from 'knex';

/** What an operator decides for one tenant; see src/tenants/tenant-settings.ts. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`ALTER TABLE tenants ADD COLUMN settings jsonb NOT NULL DEFAULT '{}'`);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE tenants DROP COLUMN settings');
}
