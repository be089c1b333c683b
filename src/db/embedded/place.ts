import { createHash } from 'node:crypto';
import { chown, lstat, mkdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import { chooseOwner } from './owner.ts';
import type { Owner } from './owner.ts';

/** Where the embedded database lives: `<data directory>/postgres`. */
export interface Place {
  owner: Owner;
  home: string;
  log: string;
  /** The cluster itself, for its owner alone. */
  cluster: string;
  /** The directory of the unix socket, for the owner (and root) alone. */
  sockets: string;
}

const SOCKET_NAME = '/.s.PGSQL.5432';
// sockaddr_un holds 108 bytes on Linux and 104 on macOS, the final zero included.
const SOCKET_PATH_LIMIT = 103;

/** @param dataDir absolute */
export async function preparePlace(dataDir: string): Promise<Place> {
  await mkdir(dirname(dataDir), { recursive: true });
  await mkdir(join(dataDir, 'postgres'), { recursive: true, mode: 0o700 });
  // The same for everyone who knows the directory by another name: the socket's place follows from it.
  const home = await realpath(join(dataDir, 'postgres'));
  const cluster = join(home, 'cluster');
  const owner = await chooseOwner(cluster);
  return {
    owner,
    home,
    log: join(home, 'postgres.log'),
    cluster,
    sockets: await socketsOf(cluster, owner),
  };
}

/** In the cluster; where its path is too long for a socket, in a short private directory. */
async function socketsOf(cluster: string, { ids }: Owner): Promise<string> {
  if (Buffer.byteLength(cluster + SOCKET_NAME) <= SOCKET_PATH_LIMIT) return cluster;

  const sockets = `/tmp/gatehouse-${createHash('sha256').update(cluster).digest('hex').slice(0, 16)}`;
  try {
    await mkdir(sockets, { mode: 0o700 });
    if (ids) await chown(sockets, ids.uid, ids.gid);
  } catch (err) {
    if (!(err instanceof Error && 'code' in err && err.code === 'EEXIST')) throw err;
  }
  // In /tmp anyone could have made it before us, and would then be our database.
  const made = await lstat(sockets);
  const mine = made.uid === (ids?.uid ?? process.getuid?.());
  if (!made.isDirectory() || !mine || (made.mode & 0o077) !== 0) {
    throw new EmbeddedPostgresError(`${sockets} belongs to someone else`);
  }
  return sockets;
}
