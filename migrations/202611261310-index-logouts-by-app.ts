import type { Knex } from 'knex';

/** Each app gets its share of what is due, so that is looked for by app; see src/oidc/adapter/logout-deliveries.ts. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE INDEX logout_deliveries_app_idx ON logout_deliveries (tenant_id, client_id, next_attempt_at);
    DROP INDEX logout_deliveries_next_attempt_at_idx;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE INDEX logout_deliveries_next_attempt_at_idx ON logout_deliveries (next_attempt_at);
    DROP INDEX logout_deliveries_app_idx;
  `);
}
