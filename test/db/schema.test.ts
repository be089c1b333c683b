import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describeSchema } from '../../src/db/describe-schema.ts';
import { migrateDown, migrateUp } from '../../src/db/migrator.ts';
import { emptyDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';

const COMMITTED = new URL('../../migrations/schema.txt', import.meta.url);

describe('schema', () => {
  let own: OwnDatabase;

  beforeEach(async () => {
    own = await emptyDatabase();
  });

  afterEach(() => own.drop());

  it('of a freshly migrated database is the committed one', async () => {
    await migrateUp(own.db);

    const schema = await describeSchema(own.db);

    assert.equal(schema, await readFile(COMMITTED, 'utf8'));
  });

  it('is undone without a trace, and then made the same again', async () => {
    await migrateUp(own.db);
    const first = await describeSchema(own.db);

    await migrateDown(own.db, { all: true });
    const undone = await describeSchema(own.db);
    const { rows: leftovers } = await own.db.raw(`
      SELECT relname AS name FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'schema_migrations%'
      UNION ALL SELECT typname FROM pg_type
      WHERE typnamespace = 'public'::regnamespace AND typname NOT LIKE '%schema_migrations'
      UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace`);
    await migrateUp(own.db);

    assert.equal(undone, '');
    assert.deepEqual(leftovers, []);
    assert.equal(await describeSchema(own.db), first);
  });

  it('is described with everything that can change in it', async () => {
    await own.db.raw(`
      CREATE TYPE colour AS ENUM ('red', 'green');
      CREATE TABLE parents (id uuid PRIMARY KEY);
      CREATE TABLE things (
        id bigint GENERATED ALWAYS AS IDENTITY,
        parent_id uuid NOT NULL REFERENCES parents ON DELETE CASCADE,
        colour colour DEFAULT 'red',
        size integer CHECK (size > 0),
        double integer GENERATED ALWAYS AS (size * 2) STORED
      ) PARTITION BY LIST (colour);
      CREATE UNIQUE INDEX things_size_key ON things (size, colour) WHERE size > 1;
      CREATE STATISTICS things_statistics ON id, size FROM things;
      CREATE TABLE red_things PARTITION OF things FOR VALUES IN ('red') WITH (fillfactor = 80);
      CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER things_nothing AFTER INSERT ON parents FOR EACH ROW EXECUTE FUNCTION nothing();
    `);

    const schema = await describeSchema(own.db);

    assert.equal(
      schema,
      `enum colour ('red', 'green')

CREATE OR REPLACE FUNCTION public.nothing()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$BEGIN RETURN NULL; END$function$


table parents
  id uuid NOT NULL
  CONSTRAINT parents_pkey PRIMARY KEY (id)
  CREATE TRIGGER things_nothing AFTER INSERT ON public.parents FOR EACH ROW EXECUTE FUNCTION nothing()

table red_things PARTITION OF things FOR VALUES IN ('red') WITH (fillfactor=80)

table things PARTITION BY LIST (colour)
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY
  parent_id uuid NOT NULL
  colour colour DEFAULT 'red'::colour
  size integer
  double integer GENERATED ALWAYS AS ((size * 2))
  CONSTRAINT things_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES parents(id) ON DELETE CASCADE
  CONSTRAINT things_size_check CHECK ((size > 0))
  CREATE UNIQUE INDEX things_size_key ON ONLY public.things USING btree (size, colour) WHERE (size > 1)
  CREATE STATISTICS public.things_statistics ON id, size FROM things

sequence things_id_seq
`,
    );
  });
});
