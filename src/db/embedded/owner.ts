import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';

const run = promisify(execFile);

/** Whom PostgreSQL runs as. It refuses root, so a root process gives it a lesser account. */
export interface Owner {
  name: string;
  /** Absent where it is the account of this process. */
  ids?: { uid: number; gid: number };
}

// An account that owns nothing else comes first.
const LESSER_ACCOUNTS = ['gatehouse', 'postgres', '_postgres', 'nobody'];

/** @param cluster its owner stays the owner, whatever accounts were made since */
export async function chooseOwner(cluster: string): Promise<Owner> {
  if (process.getuid?.() !== 0) return { name: ownName() };

  const existing = await stat(cluster).catch(() => undefined);
  if (existing && existing.uid !== 0) return lookUp(String(existing.uid));
  for (const name of LESSER_ACCOUNTS) {
    const owner = await lookUp(name).catch(() => undefined);
    if (owner) return owner;
  }
  throw new EmbeddedPostgresError(
    'PostgreSQL does not run as root, and there is no account "nobody" to run it as',
  );
}

/** A program to run as the owner, with nothing of our environment: no PGDATA, no locale, no secret. */
export interface Command {
  file: string;
  args: readonly string[];
  options: { cwd: string; env: Record<string, string>; uid?: number; gid?: number };
}

/**
 * @param work a directory the program is for; its arguments must name it as `fromInside` does
 */
export function commandAs(owner: Owner, program: string, args: readonly string[], work?: string): Command {
  const options = { ...owner.ids, env: { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' } };
  if (work === undefined || fromInside(work, owner) === work) {
    return { file: program, args, options: { ...options, cwd: '/' } };
  }
  // The working directory is entered before the account changes, and then handed on as descriptor 3.
  const script = 'exec 3<. && cd / && exec "$@"';
  return {
    file: '/bin/sh',
    args: ['-c', script, 'sh', program, ...args],
    options: { ...options, cwd: work },
  };
}

/**
 * The data directory is its operator's alone and may be below others that are, such as root's home,
 * where the account PostgreSQL runs as cannot pass. It need not: it gets the directory as an open
 * descriptor, and Linux follows that without looking at what is above.
 */
export function fromInside(directory: string, { ids }: Owner): string {
  return ids && process.platform === 'linux' ? '/proc/self/fd/3' : directory;
}

/** Runs the command to its end. */
export async function runAs(
  owner: Owner,
  program: string,
  args: readonly string[],
  work?: string,
): Promise<{ stdout: string }> {
  const command = commandAs(owner, program, args, work);
  return run(command.file, command.args, { ...command.options, timeout: 120_000 });
}

async function lookUp(account: string): Promise<Owner> {
  const [name = '', uid, gid] = await Promise.all(
    ['-un', '-u', '-g'].map(async (flag) => (await run('id', [flag, account])).stdout.trim()),
  );
  return { name, ids: { uid: Number(uid), gid: Number(gid) } };
}

function ownName(): string {
  try {
    return userInfo().username;
  } catch (cause) {
    throw new EmbeddedPostgresError(
      'PostgreSQL needs the account it runs as to have a name, and this one is not in /etc/passwd',
      { cause },
    );
  }
}
