import type { Knex } from 'knex';

/** Copies of people's data in parts, so that none has to fit into memory; see src/account-portal/data-exports.ts. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE data_export_parts (
      export_id uuid NOT NULL REFERENCES data_exports ON DELETE CASCADE,
      tenant_id uuid NOT NULL REFERENCES tenants,
      position integer NOT NULL,
      content_sealed text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (export_id, position)
    );
    -- Those made before have their content in one piece, those from now on have none of their own.
    ALTER TABLE data_exports DROP CONSTRAINT data_exports_ready_check;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP TABLE data_export_parts;
    DELETE FROM data_exports WHERE (ready_at IS NULL) <> (content_sealed IS NULL);
    ALTER TABLE data_exports
      ADD CONSTRAINT data_exports_ready_check CHECK ((ready_at IS NULL) = (content_sealed IS NULL));
  `);
}
