import type { Knex } from 'knex';

/** What somebody did, newest first; what was done to them has an index already. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(
    'CREATE INDEX events_actor_idx ON events (tenant_id, actor_id, id) WHERE actor_id IS NOT NULL',
  );
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP INDEX events_actor_idx');
}
