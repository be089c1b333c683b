import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError, escapeIdentifier } from 'pg';
import type { Logger } from '../lib/logger.ts';
import {
  clusterVersion,
  DATABASE,
  logTail,
  makeCluster,
  spawnPostmaster,
  SUPERUSER,
} from './embedded/cluster.ts';
import { EmbeddedPostgresError } from './embedded/embedded-postgres-error.ts';
import { preparePlace } from './embedded/place.ts';
import type { Place } from './embedded/place.ts';
import { findPostmaster, removeStaleLocks } from './embedded/postmaster.ts';
import { findPrograms } from './embedded/programs.ts';
import type { Programs } from './embedded/programs.ts';

/**
 * A real PostgreSQL server in the data directory, for one node without a database of its own: on a
 * private unix socket, outliving a crash of the process that started it, shared by all processes on
 * the data directory and stopped by the last one that leaves.
 *
 * Who uses it is kept in the server itself: each process holds a session with a shared advisory
 * lock, which ends with the process however that ends. Whoever can take the lock exclusively is alone
 * and may stop the server; a process that arrives meanwhile cannot take it and waits for the next one.
 */
export interface EmbeddedPostgres {
  /** For the role that owns the database `gatehouse` and is no superuser. */
  url: string;
  /** For work on the server itself: test databases. */
  superuserUrl: string;
  /** Leaves the server, and stops it when nobody else is there. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Absolute path; made if it is missing. */
  dataDir: string;
  log: Logger;
  /** For root: holds the programs where the account PostgreSQL runs as cannot reach those of the package. */
  cacheDir?: string;
}

const USERS_LOCK = 4_720_186_356;
const SETUP_LOCK = 4_720_186_357;
const START_ATTEMPTS = 3;
const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 20;
const RETRY_MS = 500;

/** @throws {EmbeddedPostgresError} when it cannot run here */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, log, cacheDir = '/var/cache/gatehouse' } = options;
  const place = await preparePlace(dataDir);
  const wanted = await clusterVersion(place);
  const programs = await findPrograms(place.owner, wanted, { cacheDir });
  if (wanted === undefined) await makeCluster(place, programs);

  let stopping = false;
  let reattaching: Promise<void> | undefined;
  let session = await attach(place, programs);
  try {
    await createDatabase(session);
  } catch (err) {
    await session.end();
    throw err;
  }
  watch();
  log.debug({ home: place.home, version: programs.version }, 'embedded PostgreSQL is ready');

  /** Without its session this process would not count, and another one could stop the server under it. */
  function watch(): void {
    session.once('end', () => {
      if (!stopping) reattaching = reattach();
    });
  }

  async function reattach(): Promise<void> {
    log.warn('lost the embedded PostgreSQL server, starting it again');
    while (!stopping) {
      try {
        session = await attach(place, programs);
        watch();
        return;
      } catch (err) {
        log.error({ err }, 'the embedded PostgreSQL server does not start');
        await sleep(RETRY_MS);
      }
    }
  }

  return {
    url: urlOf(place, DATABASE, DATABASE),
    superuserUrl: urlOf(place, SUPERUSER, 'postgres'),
    async stop() {
      if (stopping) return;
      stopping = true;
      await reattaching;
      if (await isLastUser(session)) await stopServer(place, log);
      await session.end();
    },
  };
}

/** A session that counts this process as a user of the server, which is started if it does not run. */
async function attach(place: Place, programs: Programs): Promise<Client> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  let attempts = 0;
  let starting = false;
  while (Date.now() < deadline) {
    const session = await connect(place);
    if (session && (await becomeUser(session))) return session;
    await session?.end();

    if (session || (await findPostmaster(place.cluster)) !== undefined) {
      // It runs, for others: a start of ours that lost against theirs was no failure.
      attempts = 0;
    } else if (!starting) {
      if (attempts === START_ATTEMPTS) break;
      if (attempts > 0) await sleep(RETRY_MS);
      attempts += 1;
      starting = true;
      await removeStaleLocks(place.cluster, place.sockets);
      await spawnPostmaster(place, programs, () => {
        starting = false;
      });
    }
    await sleep(POLL_MS);
  }
  throw new EmbeddedPostgresError('The embedded PostgreSQL server does not start', {
    detail: `Its log ${place.log} ends with:\n${await logTail(place)}`,
  });
}

/** @returns undefined when nobody listens, or not yet, or not any more */
async function connect(place: Place): Promise<Client | undefined> {
  const session = new Client({
    connectionString: urlOf(place, SUPERUSER, 'postgres'),
    application_name: 'gatehouse-user',
    options: '-c statement_timeout=0 -c idle_session_timeout=0',
  });
  // An ended session is told by `end`; without a listener the error before it would end the process.
  session.on('error', () => {});
  try {
    await session.connect();
    return session;
  } catch (err) {
    const code = err instanceof Error && 'code' in err ? err.code : undefined;
    if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', '57P03', '57P01'].includes(String(code)))
      return undefined;
    if (!(err instanceof DatabaseError) && code === undefined) return undefined;
    throw err;
  }
}

async function createDatabase(session: Client): Promise<void> {
  const { rowCount } = await session.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
  if (rowCount) return;

  await session.query('SELECT pg_advisory_lock($1)', [SETUP_LOCK]);
  try {
    const name = escapeIdentifier(DATABASE);
    const role = await session.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [DATABASE]);
    if (!role.rowCount) await session.query(`CREATE ROLE ${name} LOGIN`);
    const database = await session.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (!database.rowCount) await session.query(`CREATE DATABASE ${name} OWNER ${name}`);
  } finally {
    await session.query('SELECT pg_advisory_unlock($1)', [SETUP_LOCK]);
  }
}

/** @returns false when the last user is stopping the server, or has just stopped it */
async function becomeUser(session: Client): Promise<boolean> {
  try {
    return await ask(session, 'pg_try_advisory_lock_shared', USERS_LOCK);
  } catch {
    return false;
  }
}

async function isLastUser(session: Client): Promise<boolean> {
  try {
    await ask(session, 'pg_advisory_unlock_shared', USERS_LOCK);
    if (await ask(session, 'pg_try_advisory_lock', USERS_LOCK)) return true;
    // The server may not yet have noticed that a killed process is gone.
    await sleep(POLL_MS);
    return await ask(session, 'pg_try_advisory_lock', USERS_LOCK);
  } catch {
    // The session is gone and with it the server, or its users have to see for themselves.
    return false;
  }
}

async function ask(session: Client, lockFunction: string, key: number): Promise<boolean> {
  const { rows } = await session.query(`SELECT ${lockFunction}($1) AS answer`, [key]);
  return rows[0].answer;
}

async function stopServer(place: Place, log: Logger): Promise<void> {
  const pid = await findPostmaster(place.cluster);
  if (pid === undefined) return;
  // PostgreSQL's fast shutdown, and the immediate one (which recovers at the next start) if it hangs.
  process.kill(pid, 'SIGINT');
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while ((await findPostmaster(place.cluster)) === pid) {
    if (Date.now() > deadline) {
      log.warn('the embedded PostgreSQL server does not stop by itself');
      process.kill(pid, 'SIGQUIT');
      return;
    }
    await sleep(POLL_MS);
  }
}

function urlOf({ sockets }: Place, role: string, database: string): string {
  return `postgresql:///${database}?host=${encodeURIComponent(sockets)}&port=5432&user=${role}&sslmode=disable`;
}
