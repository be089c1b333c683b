import { readFileSync, realpathSync, unlinkSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * The running server of a cluster, by the process id in postmaster.pid. That file outlives a crash
 * and its number may by then be another process's, so the process itself is looked at as well.
 */
export async function findPostmaster(cluster: string): Promise<number | undefined> {
  const pid = readPid(join(cluster, 'postmaster.pid'));
  return pid !== undefined && (await isPostmaster(pid, cluster)) ? pid : undefined;
}

/**
 * Removes the lock files of a crashed server whose process id was given to another process since:
 * PostgreSQL takes those for a running server. With an id that is free it manages by itself.
 */
export async function removeStaleLocks(cluster: string, sockets: string): Promise<void> {
  for (const file of [join(cluster, 'postmaster.pid'), join(sockets, '.s.PGSQL.5432.lock')]) {
    const pid = readPid(file);
    if (pid === undefined || !isAlive(pid) || (await isPostmaster(pid, cluster))) continue;
    // Read again, for a server that started meanwhile: with its lock file removed it would stop itself.
    if (readPid(file) === pid) unlinkSync(file);
  }
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The postmaster's working directory is its cluster; elsewhere than on Linux its command line names it. */
async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  try {
    if (process.platform === 'linux') return (await readlink(`/proc/${pid}/cwd`)) === realpathSync(cluster);
    const { stdout } = await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]);
    return stdout.includes(cluster);
  } catch {
    return false;
  }
}
