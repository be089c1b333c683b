import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.ts';
import { createLogger } from '../../src/lib/logger.ts';

/**
 * The PostgreSQL server of the tests: the one TEST_DATABASE_URL names, or an embedded one.
 * @param directory keeps the embedded server's data
 * @returns the URL of an account that may create databases
 */
export async function startTestServer(directory: string): Promise<{ url: string; stop(): Promise<void> }> {
  const { TEST_DATABASE_URL: url } = process.env;
  if (url) return { url, stop: async () => {} };

  const server = await startEmbeddedPostgres({
    dataDir: join(directory, 'data'),
    log: createLogger({ level: 'warn' }),
  });
  return { url: server.superuserUrl, stop: () => server.stop() };
}
