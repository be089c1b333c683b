import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * The version before this one, as a rolling upgrade meets it: the last one that was tagged, or, before the
 * first release, the one before the newest migration. FAULTS_PREVIOUS names another one.
 */
export function previousRevision(): string {
  const named = process.env['FAULTS_PREVIOUS'];
  if (named) return git('rev-parse', named);
  const tag = git('tag', '--sort=-creatordate').split('\n')[0];
  if (tag) return git('rev-parse', `${tag}^{commit}`);
  const added = git('log', '-1', '--diff-filter=A', '--format=%H', '--', 'migrations/*.ts');
  try {
    return git('rev-parse', `${added}^`);
  } catch (cause) {
    throw new Error('this needs the history: git clone without --depth', { cause });
  }
}

/** @returns the path of its program, on the dependencies of this version */
export function unpackVersion(revision: string, directory: string): string {
  mkdirSync(directory, { recursive: true });
  const archive = execFileSync('git', ['archive', revision], { cwd: ROOT, maxBuffer: 256 * 1024 * 1024 });
  execFileSync('tar', ['-x', '-C', directory], { input: archive });
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  return join(directory, 'src/main.ts');
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
}
