import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readImports, resolveImport } from './imports.ts';

const OWN_OPTIONS = ['--coverage', '--database-only'];

export interface RunArguments {
  coverage: boolean;
  /** Mocha's. */
  options: string[];
  /** Test files, from the root. */
  files: string[];
}

/** Files and folders, from the root, are told apart from mocha's options by being there. */
export function readArguments(args: readonly string[]): RunArguments {
  const isPath = (arg: string) => !arg.startsWith('-') && existsSync(arg);
  const patterns = args.filter(isPath).map((path) => {
    const name = relative('.', path);
    return statSync(path).isDirectory() ? join(name, '**/*.test.ts') : name;
  });
  const files = globSync(patterns.length > 0 ? patterns : 'test/**/*.test.ts').sort();
  return {
    coverage: args.includes('--coverage'),
    options: args.filter((arg) => !isPath(arg) && !OWN_OPTIONS.includes(arg)),
    files: args.includes('--database-only')
      ? files.filter((file) => usesDatabase(file) && !usesBrowser(file))
      : files,
  };
}

export function usesBrowser(file: string): boolean {
  return neededBy(file).has('test/support/browser.ts');
}

function usesDatabase(file: string): boolean {
  return neededBy(file).has('test/support/database.ts');
}

/** The files of test/ that a file needs, itself included. */
function neededBy(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file) || !existsSync(file)) return found;
  found.add(file);
  for (const { specifier, typeOnly } of readImports(readFileSync(file, 'utf8'))) {
    const target = specifier === undefined || typeOnly ? undefined : resolveImport(file, specifier);
    if (target?.startsWith('test/')) neededBy(target, found);
  }
  return found;
}
