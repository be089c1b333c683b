import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import { commandAs, fromInside, runAs } from './owner.ts';
import type { Owner } from './owner.ts';
import type { Place } from './place.ts';
import type { Programs } from './programs.ts';

/** The superuser inside the cluster. */
export const SUPERUSER = 'postgres';
/** The database, and the role that owns it and is no superuser. */
export const DATABASE = 'gatehouse';

const LOG_LIMIT_BYTES = 1_000_000;

const SETTINGS = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '100',
  shared_buffers: '64MB',
  max_wal_size: '256MB',
  fsync: 'on',
  synchronous_commit: 'on',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  // Neither statements nor values: they would put personal data into the log.
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
};

/** The major version that made the cluster; undefined when there is none yet. */
export async function clusterVersion({ cluster }: Place): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(join(cluster, 'PG_VERSION'), 'utf8'), 10);
  } catch (err) {
    // Only a missing cluster may be made: anything else could be one we cannot read.
    if (err instanceof Error && 'code' in err && err.code === 'ENOENT') return undefined;
    throw err;
  }
}

/** Made aside and moved into place in one step: it is whole or not there, also for a parallel start. */
export async function makeCluster(place: Place, { initdb, version }: Programs): Promise<void> {
  const { owner, home } = place;
  await removeAbandonedDrafts(home);
  const draft = join(home, `draft.${process.pid}.${randomBytes(4).toString('hex')}`);
  await mkdir(draft, { mode: 0o700 });
  if (owner.ids) await chown(draft, owner.ids.uid, owner.ids.gid);

  // Sorted by code point whatever the machine's locale, with Unicode's lower case for e-mail addresses.
  const utf8 = process.platform === 'linux' ? ['--lc-ctype=C.UTF-8'] : [];
  const locale = version >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : utf8;
  const args = [
    `--pgdata=${fromInside(draft, owner)}`,
    `--username=${SUPERUSER}`,
    '--encoding=UTF8',
    '--locale=C',
    ...locale,
    '--data-checksums',
    '--auth-local=peer',
    '--auth-host=reject',
    '--no-instructions',
  ];
  try {
    await runAs(owner, initdb, args, draft);
    await admitOwnerAndRoot(draft, owner);
    await rename(draft, place.cluster);
  } catch (err) {
    await rm(draft, { recursive: true, force: true });
    if (await stat(place.cluster).catch(() => undefined)) return;
    throw new EmbeddedPostgresError('The database could not be created', { cause: err });
  }
}

/**
 * Starts the server and does not wait for it.
 * @param onExit called when the process ends: at once when another one has the cluster
 */
export async function spawnPostmaster(
  place: Place,
  { postgres }: Programs,
  onExit: () => void,
): Promise<void> {
  const { owner, cluster } = place;
  const data = fromInside(cluster, owner);
  const settings = {
    ...SETTINGS,
    // A list, in which quotes keep a comma or a space from meaning something.
    unix_socket_directories: `"${(place.sockets === cluster ? data : place.sockets).replaceAll('"', '""')}"`,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = commandAs(owner, postgres, ['-D', data, ...args], cluster);
  const log = await openLog(place);
  try {
    const server = spawn(command.file, command.args, {
      ...command.options,
      // A session of its own, so that Ctrl-C reaches us and not the database under us.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    server.unref();
    server.once('exit', onExit).once('error', onExit);
  } finally {
    await log.close();
  }
}

export async function logTail({ log }: Place): Promise<string> {
  const text = await readFile(log, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-5).join('\n');
}

async function openLog({ log }: Place) {
  const { size } = await stat(log).catch(() => ({ size: 0 }));
  return open(log, size > LOG_LIMIT_BYTES ? 'w' : 'a', 0o600);
}

/**
 * Whoever connects proves to the kernel which account they are, and only these two may come in. The
 * owner writes the files itself: root must not write where a lesser account could have put a link.
 */
async function admitOwnerAndRoot(cluster: string, owner: Owner): Promise<void> {
  const accounts = [...new Set([owner.name, 'root'])];
  const map = [SUPERUSER, DATABASE].flatMap((role) =>
    accounts.map((account) => `gatehouse "${account}" ${role}\n`),
  );
  const files = { 'pg_hba.conf': 'local all all peer map=gatehouse\n', 'pg_ident.conf': map.join('') };
  for (const [name, content] of Object.entries(files)) {
    const file = join(fromInside(cluster, owner), name);
    await runAs(owner, '/bin/sh', ['-c', 'printf %s "$1" > "$2"', 'sh', content, file], cluster);
  }
}

/** What a killed first start left behind. */
async function removeAbandonedDrafts(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const pid = /^draft\.(\d+)\./.exec(name)?.[1];
    if (pid === undefined) continue;
    try {
      process.kill(Number(pid), 0);
    } catch {
      await rm(join(home, name), { recursive: true, force: true });
    }
  }
}
