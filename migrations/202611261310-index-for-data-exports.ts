import type { Knex } from 'knex';

/**
 * Whoever makes the next copy of somebody's data takes the oldest that waits, without sorting all of them, and finds
 * the mails to one address, those that nobody asked for as well.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw('CREATE INDEX data_exports_waiting_idx ON data_exports (created_at) WHERE ready_at IS NULL');
  await knex.raw('DROP INDEX mails_recipient_idx');
  await knex.raw('CREATE INDEX mails_recipient_idx ON mails (tenant_id, lower(recipient), created_at)');
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP INDEX mails_recipient_idx');
  await knex.raw(
    'CREATE INDEX mails_recipient_idx ON mails (tenant_id, lower(recipient), created_at) WHERE is_requested',
  );
  await knex.raw('DROP INDEX data_exports_waiting_idx');
}
