import type { Knex } from 'knex';
import type { Config } from '../../config.ts';
import { migrationStatus } from '../../db/migrator.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

const OLDEST_VERSION = 150_000;
const SKEW_WARN_MS = 2_000;
const SKEW_FAIL_MS = 30_000;

interface ServerRow {
  version: number;
  version_text: string;
  name: string;
  read_only: boolean;
  statement_timeout: string;
  lock_timeout: string;
  now: Date;
}

export async function checkDatabase(db: Knex, config: Config, now: () => Date): Promise<Check[]> {
  const before = now().getTime();
  const { rows } = await db.raw<{ rows: [ServerRow] }>(`
    SELECT current_setting('server_version_num')::int AS version,
      current_setting('server_version') AS version_text,
      current_database() AS name,
      current_setting('transaction_read_only')::bool AS read_only,
      current_setting('statement_timeout') AS statement_timeout,
      current_setting('lock_timeout') AS lock_timeout,
      clock_timestamp() AS now`);
  const after = now().getTime();
  const [server] = rows;
  return [serverCheck(server, config), timeoutCheck(server), clockCheck(server.now.getTime(), before, after)];
}

function serverCheck({ version, version_text, name, read_only }: ServerRow, { databaseUrl }: Config): Check {
  const what = `${databaseUrl ? 'PostgreSQL' : 'embedded PostgreSQL'} ${version_text}, database ${name}`;
  if (version < OLDEST_VERSION) return fail('database', what, 'Use PostgreSQL 15 or later.');
  return read_only
    ? fail('database', `${what}, is read-only`, 'DATABASE_URL must lead to the primary server.')
    : ok('database', what);
}

/** A connection pooler in between may drop what is asked for at connecting. */
function timeoutCheck({ statement_timeout, lock_timeout }: ServerRow): Check {
  const what = `statement_timeout ${statement_timeout}, lock_timeout ${lock_timeout}`;
  return statement_timeout === '0' || lock_timeout === '0'
    ? fail(
        'database timeouts',
        `${what}: a query could wait for ever`,
        'Let the connection pooler pass the options of the connection on.',
      )
    : ok('database timeouts', what);
}

function clockCheck(there: number, before: number, after: number): Check {
  const skewMs = there < before ? before - there : Math.max(0, there - after);
  const what = `${(skewMs / 1000).toFixed(1)} s between this machine and the database`;
  const advice = 'Let both take their time from NTP; tokens are valid by the clock.';
  if (skewMs > SKEW_FAIL_MS) return fail('clock', what, advice);
  return skewMs > SKEW_WARN_MS ? warn('clock', what, advice) : ok('clock', what);
}

export async function checkMigrations(db: Knex, { migrateAtStart }: Config): Promise<Check> {
  const { applied, pending } = await migrationStatus(db);
  if (pending.length === 0) return ok('migrations', `${applied.length} applied, none pending`);
  const what = `pending: ${pending.join(', ')}`;
  return migrateAtStart
    ? warn('migrations', what, 'They are applied at the next start, or by: gatehouse migrate up')
    : fail('migrations', what, 'Run: gatehouse migrate up');
}
