import type { Knex } from 'knex';

/**
 * Clients whose grants are still to end, and the grants that are; see src/oidc/adapter/client-access.ts. The new
 * index is one of live grants alone: batch after batch would read those that the batches before have ended.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE clients ADD COLUMN access_ending_since timestamptz;
    CREATE INDEX clients_access_ending_idx ON clients (access_ending_since) WHERE access_ending_since IS NOT NULL;
    CREATE INDEX oidc_models_grants_live_client_idx ON oidc_models_grants (client_id, tenant_id) WHERE dead_at IS NULL;
    DROP INDEX oidc_models_grants_client_idx;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE INDEX oidc_models_grants_client_idx ON oidc_models_grants (tenant_id, client_id);
    DROP INDEX oidc_models_grants_live_client_idx;
    DROP INDEX clients_access_ending_idx;
    ALTER TABLE clients DROP COLUMN access_ending_since;
  `);
}
