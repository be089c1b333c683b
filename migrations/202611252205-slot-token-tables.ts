import type { Knex } from 'knex';

/**
 * Tokens move into tables that are cut into eight slots by the first bits of the id's hash: what ends in
 * one period lies in one slot, which is emptied as a whole (docs/adr/0013). The key stays the same, so the
 * version before goes on reading and writing. What expires by itself is copied, not kept in place: reckon
 * with a minute for every two million rows.
 */

const SLOTS = 8;

/** The table, what it holds, and its storage parameters. */
const SLOTTED = [
  {
    table: 'oidc_models_tokens',
    from: 'oidc_models_ephemeral',
    models: ['AccessToken', 'AuthorizationCode', 'ClientCredentials'],
    fillfactor: 90,
  },
  {
    table: 'oidc_models_refresh_tokens',
    from: 'oidc_models_refresh_tokens',
    models: ['RefreshToken'],
    fillfactor: 80,
  },
];

export async function up(knex: Knex): Promise<void> {
  await detach(knex, 'oidc_models_refresh_tokens');
  await detach(knex, 'oidc_models_ephemeral');
  for (const { table, models, fillfactor } of SLOTTED) {
    await knex.raw(
      `CREATE TABLE ${table} PARTITION OF oidc_models FOR VALUES IN (${listOf(models)}) PARTITION BY RANGE (id_hash)`,
    );
    await knex.raw(`CREATE INDEX ${table}_expires_at_idx ON ${table} (expires_at)`);
    for (let slot = 0; slot < SLOTS; slot += 1) {
      // A plan made while a slot is all but empty would read it from end to end, also when it has filled:
      // of a table that was never analyzed the planner assumes ten pages. What goes as a whole needs no
      // vacuum for having been inserted either.
      await knex.raw(
        `CREATE TABLE ${table}_${slot} PARTITION OF ${table} FOR VALUES FROM (${bound(slot)}) TO (${bound(slot + 1)})
           WITH (fillfactor = ${fillfactor}, autovacuum_analyze_threshold = 2000000000, autovacuum_vacuum_insert_threshold = -1)`,
      );
    }
  }
  await createEphemeral(knex, 70);
  await bringBack(knex, 'oidc_models_refresh_tokens');
  await bringBack(knex, 'oidc_models_ephemeral');
}

export async function down(knex: Knex): Promise<void> {
  await detach(knex, 'oidc_models_refresh_tokens');
  await detach(knex, 'oidc_models_tokens');
  await detach(knex, 'oidc_models_ephemeral');
  await knex.raw(`
    CREATE TABLE oidc_models_refresh_tokens PARTITION OF oidc_models FOR VALUES IN ('RefreshToken') WITH (fillfactor = 80);
    CREATE INDEX oidc_models_refresh_tokens_expires_at_idx ON oidc_models_refresh_tokens (expires_at);
  `);
  await createEphemeral(knex);
  await bringBack(knex, 'oidc_models_refresh_tokens');
  await bringBack(knex, 'oidc_models_tokens');
  await bringBack(knex, 'oidc_models_ephemeral');
}

/** Sets a table aside; its indexes would keep the names that the next one gets. */
async function detach(knex: Knex, table: string): Promise<void> {
  await knex.raw(`
    ALTER TABLE oidc_models DETACH PARTITION ${table};
    ALTER TABLE ${table} RENAME TO ${table}_before;
    ALTER INDEX ${table}_pkey RENAME TO ${table}_before_pkey;
    DROP INDEX ${table}_expires_at_idx;
  `);
}

/** Rows that have expired are left behind, as the expiry job would have. */
async function bringBack(knex: Knex, table: string): Promise<void> {
  await knex.raw(`
    INSERT INTO oidc_models SELECT * FROM ${table}_before WHERE expires_at > now() - interval '5 minutes';
    DROP TABLE ${table}_before;
  `);
}

async function createEphemeral(knex: Knex, fillfactor = 100): Promise<void> {
  const parameters = fillfactor === 100 ? '' : `WITH (fillfactor = ${fillfactor})`;
  await knex.raw(`
    CREATE TABLE oidc_models_ephemeral PARTITION OF oidc_models DEFAULT ${parameters};
    CREATE INDEX oidc_models_ephemeral_expires_at_idx ON oidc_models_ephemeral (expires_at);
  `);
}

function listOf(models: readonly string[]): string {
  return models.map((model) => `'${model}'`).join(', ');
}

/** Of eight: the first three bits of a hash. */
function bound(slot: number): string {
  if (slot === 0) return 'MINVALUE';
  if (slot === SLOTS) return 'MAXVALUE';
  return `'\\x${(slot * 32).toString(16).padStart(2, '0')}'`;
}
