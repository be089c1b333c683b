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

/** PostgreSQL's programs get nothing of our environment: no PGDATA, no locale, no secret. */
export const PROGRAM_ENVIRONMENT = { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' };

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

/**
 * Runs a program as the owner, with nothing of our environment.
 * @param directory where it works; entered before the account changes, so the owner need not be able to reach it
 */
export async function runAs(
  owner: Owner,
  program: string,
  args: readonly string[],
  directory = '/',
): Promise<{ stdout: string }> {
  return run(program, args, {
    ...owner.ids,
    cwd: directory,
    env: PROGRAM_ENVIRONMENT,
    timeout: 120_000,
  });
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
