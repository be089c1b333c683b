import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';

/**
 * The version before this one, as a rolling upgrade meets it: the last one that was tagged, or, before the
 * first release, the one before the newest migration. A checkout without history (`git clone --depth 1`, an
 * archive) uses the one that is kept beside this file. FAULTS_PREVIOUS names another revision, or `kept`.
 */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const KEPT = fileURLToPath(new URL('./previous-version.tar.br', import.meta.url));
/** What a server runs. */
const PARTS = ['package.json', 'src', 'views', 'locales', 'migrations'];

/** @returns the path of its program, on the dependencies of this version */
export function unpackPreviousVersion(directory: string): string {
  const revision = previousRevision();
  const archive = revision === undefined ? brotliDecompressSync(readFileSync(KEPT)) : archiveOf(revision);
  mkdirSync(directory, { recursive: true });
  execFileSync('tar', ['-x', '-C', directory], { input: archive });
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  return join(directory, 'src/main.ts');
}

/** @returns undefined where nobody knows */
function previousRevision(): string | undefined {
  const named = process.env['FAULTS_PREVIOUS'];
  if (named === 'kept') return undefined;
  if (named) return git('rev-parse', `${named}^{commit}`);
  try {
    const [tag] = git('tag', '--sort=-creatordate').split('\n');
    if (tag) return git('rev-parse', `${tag}^{commit}`);
    const added = git('log', '-1', '--diff-filter=A', '--format=%H', '--', 'migrations/*.ts');
    return git('rev-parse', '--verify', `${added}^`);
  } catch {
    // No git, no repository, or one whose history does not reach that far.
    return undefined;
  }
}

function archiveOf(revision: string): Buffer {
  return execFileSync('git', ['archive', revision, ...PARTS], { cwd: ROOT, maxBuffer: 256 * 1024 * 1024 });
}

function git(...args: string[]): string {
  return execFileSync('git', args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
}

// `node test/faults/support/previous-version.ts` keeps the version that the history has now.
if (import.meta.main) {
  const revision = previousRevision();
  if (revision === undefined) throw new Error('this needs the history');
  const archive = archiveOf(revision);
  const params = { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: archive.length };
  writeFileSync(KEPT, brotliCompressSync(archive, { params }));
  process.stdout.write(`${revision} is kept\n`);
}
