import { spawn, spawnSync } from 'node:child_process';
import { appendFile, chown, open, rm, writeFile } from 'node:fs/promises';
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
import { childrenOf } from './processes.ts';
import { startTcpProxy } from './tcp-proxy.ts';

/** A PostgreSQL server of the test's own that can be crashed, frozen and started again. */
export interface PrivatePostgres {
  /** The directory of the cluster. */
  cluster: string;
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
  /** Of a standby: it takes writes from now on. */
  promote(): Promise<void>;
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

/**
 * @param directory absolute; made if it is missing
 * @param primary a standby of this one, which follows it in step: what is committed is on both
 */
export async function startPrivatePostgres(
  directory: string,
  primary?: PrivatePostgres,
): Promise<PrivatePostgres> {
  const place = await preparePlace(directory);
  const programs = await findPrograms(place.owner, undefined, { cacheDir: '/var/cache/gatehouse' });
  // The account it runs as may not enter the primary's directory, so it comes through this process.
  const link = primary && (await startTcpProxy(primary.socket));
  if (primary && link) await copyCluster(primary, place, link.port);
  else await makeCluster(place, programs);
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
  if (primary) await followInStep(primary.superuserUrl);
  else await createDatabase(superuserUrl);

  const postgres: PrivatePostgres = {
    cluster: place.cluster,
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
      await link?.close();
    },
    async promote() {
      await asSuperuser(superuserUrl, async (session) => {
        // It would go on waiting for a standby of its own.
        await session.query('ALTER SYSTEM RESET synchronous_standby_names');
        await session.query('SELECT pg_reload_conf()');
        await session.query('SELECT pg_promote(true)');
      });
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
  await asSuperuser(superuserUrl, async (session) => {
    await session.query(`CREATE ROLE ${DATABASE} LOGIN`);
    await session.query(`CREATE DATABASE ${DATABASE} OWNER ${DATABASE}`);
  });
}

export async function asSuperuser<Result>(
  superuserUrl: string,
  work: (session: Client) => Promise<Result>,
): Promise<Result> {
  const session = new Client({ connectionString: superuserUrl });
  session.on('error', () => {});
  await session.connect();
  try {
    return await work(session);
  } finally {
    await session.end().catch(() => {});
  }
}

/** A base backup by hand (PostgreSQL documentation §25.3.3), since `pg_basebackup` is not among the programs. */
async function copyCluster(primary: PrivatePostgres, { cluster, owner }: Place, port: number): Promise<void> {
  await asSuperuser(primary.superuserUrl, async (session) => {
    await appendFile(join(primary.cluster, 'pg_hba.conf'), 'local replication all peer map=gatehouse\n');
    await session.query('SELECT pg_reload_conf()');
    await session.query("SELECT pg_backup_start('standby', fast => true)");
    // Files that go while they are copied are in the log.
    spawnSync('cp', ['-a', primary.cluster, cluster]);
    const { rows: ended } = await session.query('SELECT labelfile FROM pg_backup_stop()');
    for (const name of ['postmaster.pid', '.s.PGSQL.5432', '.s.PGSQL.5432.lock'])
      await rm(join(cluster, name), { force: true });
    const settings = `primary_conninfo = 'host=127.0.0.1 port=${port} user=${SUPERUSER} sslmode=disable'\n`;
    for (const [name, content] of Object.entries({
      backup_label: String(ended[0].labelfile),
      'standby.signal': '',
      'postgresql.auto.conf': settings,
    })) {
      await writeFile(join(cluster, name), content);
      if (owner.ids) await chown(join(cluster, name), owner.ids.uid, owner.ids.gid);
    }
  });
}

/** Waits until the standby follows, and lets no commit return any more that it does not have. */
async function followInStep(superuserUrl: string): Promise<void> {
  await asSuperuser(superuserUrl, async (session) => {
    await session.query("ALTER SYSTEM SET synchronous_standby_names = '*'");
    await session.query('SELECT pg_reload_conf()');
    const isInStep = async () => {
      const { rows } = await session.query("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
      return rows.length > 0;
    };
    while (!(await isInStep())) await delay(POLL_MS);
  });
}
