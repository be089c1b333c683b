import { execFileSync, spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { DATABASE, logTail, makeCluster, SUPERUSER } from '../../../src/db/embedded/cluster.ts';
import { commandAs, fromInside } from '../../../src/db/embedded/owner.ts';
import { preparePlace } from '../../../src/db/embedded/place.ts';
import type { Place } from '../../../src/db/embedded/place.ts';
import { findPostmaster } from '../../../src/db/embedded/postmaster.ts';
import { findPrograms } from '../../../src/db/embedded/programs.ts';
import type { Programs } from '../../../src/db/embedded/programs.ts';

/** A PostgreSQL server of the test's own that can be crashed, frozen and started again. */
export interface PrivatePostgres {
  /** Path of the unix socket, for the proxy. */
  socket: string;
  /** The database `gatehouse`, past the proxy. */
  url: string;
  superuserUrl: string;
  /** What `pg_ctl stop -m immediate` does: no checkpoint, no goodbye; the next start recovers from the log. */
  crash(): Promise<void>;
  /** Returns when it takes connections. */
  start(): Promise<void>;
  /** Stops every process of the server where it stands; connections stay open and nobody answers. */
  freeze(): Promise<void>;
  thaw(): void;
  stop(): Promise<void>;
}

const POLL_MS = 20;
const READY_TIMEOUT_MS = 60_000;

/**
 * Processes are killed here, machines are not: what was written survives without being flushed to the
 * disk, and recovery need not flush it all over again. Commits wait for the log as in production.
 */
const SETTINGS = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '200',
  shared_buffers: '64MB',
  fsync: 'off',
  synchronous_commit: 'on',
  jit: 'off',
  timezone: 'UTC',
};

/** @param directory absolute; made if it is missing */
export async function startPrivatePostgres(directory: string): Promise<PrivatePostgres> {
  const place = await preparePlace(directory);
  const programs = await findPrograms(place.owner, undefined, { cacheDir: '/var/cache/gatehouse' });
  await makeCluster(place, programs);
  const superuserUrl = urlOf(SUPERUSER, 'postgres');

  function urlOf(role: string, database: string): string {
    return `postgresql:///${database}?host=${encodeURIComponent(place.sockets)}&port=5432&user=${role}&sslmode=disable`;
  }

  async function start(): Promise<void> {
    await spawnPostmaster(place, programs);
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (!(await answers(superuserUrl))) {
      if (Date.now() > deadline) throw new Error(`PostgreSQL does not start:\n${await logTail(place)}`);
      await delay(POLL_MS);
    }
  }

  /** The postmaster comes first: it would replace or miss the others. */
  async function processes(): Promise<number[]> {
    const postmaster = await findPostmaster(place.cluster);
    return postmaster === undefined ? [] : [postmaster, ...childrenOf(postmaster)];
  }

  async function end(signal: 'SIGQUIT' | 'SIGINT'): Promise<void> {
    const [postmaster] = await processes();
    if (postmaster === undefined) return;
    process.kill(postmaster, signal);
    while ((await findPostmaster(place.cluster)) === postmaster) await delay(POLL_MS);
  }

  let frozen: number[] = [];
  await start();
  await createDatabase(superuserUrl);

  const postgres: PrivatePostgres = {
    socket: join(place.sockets, '.s.PGSQL.5432'),
    url: urlOf(DATABASE, DATABASE),
    superuserUrl,
    crash: () => end('SIGQUIT'),
    start,
    async freeze() {
      frozen = await processes();
      signalAll(frozen, 'SIGSTOP');
    },
    thaw() {
      signalAll(frozen.toReversed(), 'SIGCONT');
      frozen = [];
    },
    async stop() {
      postgres.thaw();
      await end('SIGINT');
    },
  };
  return postgres;
}

async function spawnPostmaster({ owner, cluster, sockets, log }: Place, programs: Programs): Promise<void> {
  const data = fromInside(cluster, owner);
  const settings = { ...SETTINGS, unix_socket_directories: sockets === cluster ? data : sockets };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = commandAs(owner, programs.postgres, ['-D', data, ...args], cluster);
  const output = await open(log, 'a', 0o600);
  try {
    spawn(command.file, command.args, {
      ...command.options,
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
    }).unref();
  } finally {
    await output.close();
  }
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

function childrenOf(parent: number): number[] {
  return execFileSync('ps', ['-axo', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid = 0, ppid]) => (ppid === parent ? [pid] : []));
}

async function answers(url: string): Promise<boolean> {
  const session = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  session.on('error', () => {});
  try {
    await session.connect();
    await session.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await session.end().catch(() => {});
  }
}

async function createDatabase(superuserUrl: string): Promise<void> {
  const session = new Client({ connectionString: superuserUrl });
  await session.connect();
  try {
    await session.query(`CREATE ROLE ${DATABASE} LOGIN`);
    await session.query(`CREATE DATABASE ${DATABASE} OWNER ${DATABASE}`);
  } finally {
    await session.end();
  }
}
