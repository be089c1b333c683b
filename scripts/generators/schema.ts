import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeSchema } from '../../src/db/describe-schema.ts';
import { migrateUp } from '../../src/db/migrator.ts';
import { openDatabase } from '../../src/db/open-database.ts';
import { createLogger } from '../../src/lib/logger.ts';

/** The schema all migrations make, on an embedded server of its own. */
export async function generateSchema(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-schema-'));
  try {
    const { db, close } = await openDatabase(
      { databaseUrl: undefined, dataDir, databasePool: 2 },
      createLogger({ level: 'warn' }),
    );
    try {
      await migrateUp(db);
      return await describeSchema(db);
    } finally {
      await close();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}
