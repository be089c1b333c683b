import type { Knex } from 'knex';
import type { Logger } from '../lib/logger.ts';
import { createDatabase } from './database.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';

export interface OpenDatabase {
  db: Knex;
  /** For a process that is to work on the same database. */
  url: string;
  /** Waits for the queries under way; leaves the embedded server. */
  close: () => Promise<void>;
}

interface DatabaseConfig {
  /** Absent: the embedded server in the data directory. */
  databaseUrl: string | undefined;
  /** Absolute path. */
  dataDir: string;
  /** Most connections. */
  databasePool: number;
}

// Whoever waits for a page gives up soon; a database that cannot answer in this time answers 503.
export const DATABASE_TIMEOUTS = { statementTimeoutMs: 2000, lockTimeoutMs: 2000, acquireTimeoutMs: 2000 };

/**
 * The database of the configuration, for the server and for the command line beside it. Opening makes
 * no connection to a `databaseUrl`, so that a server starts while its database is away.
 */
export async function openDatabase(config: DatabaseConfig, log: Logger): Promise<OpenDatabase> {
  const embedded =
    config.databaseUrl === undefined
      ? await startEmbeddedPostgres({ dataDir: config.dataDir, log })
      : undefined;
  const url = embedded?.url ?? config.databaseUrl ?? '';
  const db = createDatabase({ url, poolMax: config.databasePool, ...DATABASE_TIMEOUTS });
  return {
    db,
    url,
    async close() {
      await db.destroy();
      await embedded?.stop();
    },
  };
}
