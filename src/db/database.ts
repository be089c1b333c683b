import knex from 'knex';
import type { Knex } from 'knex';
import { statements } from '../lib/instruments.ts';
import { measureAcquire, measureStatement } from './measured.ts';
import { beginWait, WaitBudgetSpent, waitLeftMs, withinWaitBudget } from './wait-budget.ts';

/**
 * The connection pool and what every query relies on: timeouts on each wait, no JIT and no parallel workers
 * (they turn a query of a millisecond into many, on a wrong guess of its size), and prepared statements by
 * name for the hot path.
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
  // The server ends its own work at statement_timeout; the client gives up a little later, for a server
  // that no longer answers at all.
  const unansweredMs = Math.max(statementTimeoutMs, lockTimeoutMs) + 300;
  const db = knex({
    client: 'pg',
    connection: {
      connectionString: url,
      application_name: options.applicationName ?? 'gatehouse',
      connectionTimeoutMillis: acquireTimeoutMs,
      keepAlive: true,
      query_timeout: unansweredMs,
      options: [
        '-c jit=off',
        '-c max_parallel_workers_per_gather=0',
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
        watch(connection, unansweredMs);
        done(null, connection);
      },
    },
    acquireConnectionTimeout: acquireTimeoutMs,
    asyncStackTraces: false,
    // Whoever asked for the connection gets the error and logs it, once.
    log: { warn() {} },
  });
  const client: DriverClient = db.client;
  const acquire = client.acquireConnection.bind(client);
  const release = client.releaseConnection.bind(client);
  const giveBack = (connection: DriverConnection) => {
    // A transaction that could not be ended would take in what the next one writes, and lose it with its own end.
    if (connection.getTransactionStatus() !== IDLE) leave(connection, new Error('a transaction is open'));
    return release(connection);
  };
  client.releaseConnection = giveBack;
  client.acquireConnection = () => measureAcquire(() => withinWaitBudget(acquire, giveBack));
  return db;
}

/** What the server says of a session between transactions (PostgreSQL's protocol, ReadyForQuery). */
const IDLE = 'I';

/** What the answer to a commit may take though the request has nothing left: by then the work is done. */
const COMMIT_MS = 300;

/**
 * Limits every wait for an answer to what the request has left, and takes a connection out of the pool
 * whose query got no answer, or the answer that the session ends. The end of a session shows a moment
 * later, or not at all, and until then the next one would get the connection and wait in vain as well.
 */
function watch(connection: DriverConnection, unansweredMs: number): void {
  const prototype: DriverConnection = Object.getPrototypeOf(connection);
  // Looked up at every call: whoever instruments the driver replaces the method of its prototype.
  const send: DriverConnection['query'] = (...query) => prototype.query.apply(connection, query);
  connection.query = (config, callback) => {
    if (!callback) return send(config);
    const leftMs = waitLeftMs() ?? unansweredMs;
    const longestMs = Math.min(unansweredMs, Math.max(leftMs, leastMs(config.text, unansweredMs)));
    if (longestMs <= 0) {
      process.nextTick(callback, new WaitBudgetSpent());
      return undefined;
    }
    const end = beginWait();
    const measured = measureStatement(config);
    return send({ ...config, query_timeout: Math.ceil(longestMs) }, (err, result) => {
      end();
      measured(err);
      if (err && isLastWord(err)) leave(connection, err);
      callback(err, result);
    });
  };
}

/**
 * What ends a transaction is sent whatever is left: knex takes it for done and gives the connection back. A rollback
 * takes its time besides; it is for the others, who wait for what is locked.
 */
function leastMs(statement: string, unansweredMs: number): number {
  if (/^ROLLBACK/i.test(statement)) return unansweredMs;
  return /^(COMMIT|RELEASE)/i.test(statement) ? COMMIT_MS : 0;
}

/** The server learns that nobody waits any more, and lets go of what the session had locked. */
function leave(connection: DriverConnection, err: Error): void {
  connection.__knex__disposed = err;
  connection.connection.stream.destroy();
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
  query(config: QueryConfig, callback?: (err: Error | null, result?: unknown) => void): unknown;
  /** As of the last answer that is complete. */
  getTransactionStatus(): string | null;
  connection: { stream: { destroy(): void } };
}

interface QueryConfig {
  text: string;
  /** Of a prepared statement. */
  name?: string;
  query_timeout?: number;
}

/** By name: the text as it was given, and as the driver wants it. */
const positioned = new Map<string, { sql: string; text: string }>();

/**
 * Runs a statement prepared once per connection under its name, past the query builder: together about
 * twice the rate of a plain `raw`.
 * @throws when another text has the name: the database would run that one
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
  let statement = positioned.get(name);
  if (!statement) positioned.set(name, (statement = { sql, text: client.positionBindings(sql) }));
  else if (statement.sql !== sql) throw new Error(`two statements are called ${name}`);
  const { text } = statement;

  const connection = await client.acquireConnection();
  try {
    const { response } = await client.query(connection, { sql: text, bindings, options: { name } });
    return { rows: response.rows, rowCount: response.rowCount ?? 0 };
  } finally {
    await client.releaseConnection(connection);
  }
}
