import type { Knex } from 'knex';

/**
 * Counters of who tries too often. Guesses at secrets are counted durably and before they are judged;
 * floods are counted in memory, and only what several processes tell each other of them is here.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE attempt_counters (
      tenant_id uuid NOT NULL,
      -- SHA-256 of what is counted: an account's address, a network.
      id_hash bytea NOT NULL,
      attempts integer NOT NULL DEFAULT 1,
      blocked_until timestamptz,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, id_hash)
    ) WITH (fillfactor = 80);
    CREATE INDEX attempt_counters_expires_at_idx ON attempt_counters (expires_at);

    -- Of one minute each and worth nothing after it, so a crash of the server may empty it.
    CREATE UNLOGGED TABLE rate_counters (
      id_hash bytea PRIMARY KEY,
      amount integer NOT NULL,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 70);
    CREATE INDEX rate_counters_expires_at_idx ON rate_counters (expires_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE rate_counters, attempt_counters');
}
