import knex from 'knex';
import type { Knex } from 'knex';
import { statements } from '../lib/instruments.ts';

/**
 * The connection pool and what every query relies on: timeouts on each wait, no JIT (it turns a short
 * query into a second of compiling), and prepared statements by name for the hot path.
 */

/** A pool or a transaction: services and stores do not know which. */
export type Db = Knex;

export interface DatabaseOptions {
  url: string;
  poolMax: number;
  statementTimeoutMs: number;
  lockTimeoutMs: number;
  acquireTimeoutMs: number;
  applicationName?: string;
}

export function createDatabase(options: DatabaseOptions): Knex {
  const { url, poolMax, statementTimeoutMs, lockTimeoutMs, acquireTimeoutMs } = options;
  return knex({
    client: 'pg',
    connection: {
      connectionString: url,
      application_name: options.applicationName ?? 'gatehouse',
      connectionTimeoutMillis: acquireTimeoutMs,
      keepAlive: true,
      // The server ends its own work at statement_timeout; the client gives up a little later, for a
      // server that no longer answers at all.
      query_timeout: Math.max(statementTimeoutMs, lockTimeoutMs) + 300,
      options: [
        '-c jit=off',
        '-c timezone=UTC',
        `-c statement_timeout=${Math.max(statementTimeoutMs, lockTimeoutMs)}`,
        `-c lock_timeout=${lockTimeoutMs}`,
        '-c idle_in_transaction_session_timeout=10000',
      ].join(' '),
    },
    pool: {
      min: 0,
      max: poolMax,
      acquireTimeoutMillis: acquireTimeoutMs,
      idleTimeoutMillis: 60_000,
      afterCreate(connection: DriverConnection, done: (err: null, connection: DriverConnection) => void) {
        leaveWhenBroken(connection);
        done(null, connection);
      },
    },
    acquireConnectionTimeout: acquireTimeoutMs,
    asyncStackTraces: false,
    // Whoever asked for the connection gets the error and logs it, once.
    log: { warn() {} },
  });
}

/**
 * Takes a connection out of the pool whose last query got no answer, or the answer that the session ends.
 * Its end shows a moment later, or not at all, and until then the next one in the queue would get it and
 * wait in vain as well.
 */
function leaveWhenBroken(connection: DriverConnection): void {
  const query = connection.query.bind(connection);
  connection.query = (config, callback) => {
    if (!callback) return query(config);
    return query(config, (err, result) => {
      if (err && isLastWord(err)) connection.__knex__disposed = err;
      callback(err, result);
    });
  };
}

/** 57P: the server was shut down or has crashed, or somebody ended the session. 08: the connection is lost. */
function isLastWord(err: Error & { code?: unknown }): boolean {
  return err.message === 'Query read timeout' || /^(57P|08)/.test(String(err.code));
}

/** What knex's client offers below its query builder, on a pool and on a transaction alike. */
interface DriverClient {
  acquireConnection(): Promise<DriverConnection>;
  releaseConnection(connection: DriverConnection): Promise<void>;
  positionBindings(sql: string): string;
  query(
    connection: DriverConnection,
    query: object,
  ): Promise<{ response: { rows: never[]; rowCount: number | null } }>;
}

interface DriverConnection {
  /** Read by the pool before it hands the connection out again. */
  __knex__disposed?: unknown;
  query(config: unknown, callback?: (err: Error | null, result: unknown) => void): unknown;
}

const positioned = new Map<string, string>();

/**
 * Runs a statement prepared once per connection under its name, past the query builder: together about
 * twice the rate of a plain `raw`. The text of a name must never change within a process.
 */
export async function prepared<Row>(
  db: Db,
  name: string,
  sql: string,
  bindings: readonly Knex.RawBinding[],
): Promise<{ rows: Row[]; rowCount: number }> {
  if (!statements.isObserved) return run(db, name, sql, bindings);
  const startedAt = performance.now();
  let isOk = false;
  try {
    const result = await run<Row>(db, name, sql, bindings);
    isOk = true;
    return result;
  } finally {
    statements.record({ name, seconds: (performance.now() - startedAt) / 1000, isOk });
  }
}

async function run<Row>(
  db: Db,
  name: string,
  sql: string,
  bindings: readonly Knex.RawBinding[],
): Promise<{ rows: Row[]; rowCount: number }> {
  const client: DriverClient = db.client;
  let text = positioned.get(name);
  if (text === undefined) {
    text = client.positionBindings(sql);
    positioned.set(name, text);
  }

  const connection = await client.acquireConnection();
  try {
    const { response } = await client.query(connection, { sql: text, bindings, options: { name } });
    return { rows: response.rows, rowCount: response.rowCount ?? 0 };
  } finally {
    await client.releaseConnection(connection);
  }
}
