import type { Knex } from 'knex';

/**
 * Slots of the token tables are emptied as a whole, which is all they need: the few dead rows of a page are
 * pruned where they lie. A vacuum of a slot that is almost empty would leave figures behind by which the
 * planner reads it from end to end, also once it has filled.
 */

const SLOTS = ['oidc_models_tokens', 'oidc_models_refresh_tokens'].flatMap((table) =>
  Array.from({ length: 8 }, (_, slot) => `${table}_${slot}`),
);

export async function up(knex: Knex): Promise<void> {
  for (const table of SLOTS) {
    await knex.raw(`
      ALTER TABLE ${table} RESET (autovacuum_analyze_threshold, autovacuum_vacuum_insert_threshold);
      ALTER TABLE ${table} SET (autovacuum_enabled = false);
    `);
  }
}

export async function down(knex: Knex): Promise<void> {
  for (const table of SLOTS) {
    await knex.raw(`
      ALTER TABLE ${table} RESET (autovacuum_enabled);
      ALTER TABLE ${table} SET (autovacuum_analyze_threshold = 2000000000, autovacuum_vacuum_insert_threshold = -1);
    `);
  }
}
