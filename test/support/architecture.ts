import { basename } from 'node:path/posix';
import { readImports, resolveImport, UnreadableImports } from './imports.ts';
import type { Import } from './imports.ts';

/** A file of src/: its path from there and its text. */
export interface SourceFile {
  path: string;
  text: string;
}

// The lowest first. A folder that no tier names is a feature.
const TIERS: readonly (readonly string[])[] = [
  ['lib', 'config.ts', 'config-faults.ts', 'config-values.ts'],
  ['db', 'redis', 'http', 'i18n'],
  ['tenants', 'keys', 'events'],
  [],
  ['oidc', 'interactions', 'management-api', 'account-portal', 'admin-console', 'jobs', 'demo'],
  ['services.ts'],
  ['cli', 'cluster', 'app.ts', 'banner.ts', 'load-environment.ts', 'main.ts', 'start.ts'],
];
const FEATURES = 3;
const LONGEST_FILE = 400;
const KOA = ['koa', '@koa/router', '@koa/bodyparser', 'koa-compose'];

interface Module extends SourceFile {
  imports: (Import & { target: string | undefined })[];
}

/** @returns what breaks the rules of the architecture, a readable line each */
export function findViolations(files: readonly SourceFile[]): string[] {
  const violations: string[] = [];
  const modules: Module[] = [];
  for (const file of files) {
    try {
      const imports = readImports(file.text).map((one) => ({
        ...one,
        target: one.specifier === undefined ? undefined : resolveImport(file.path, one.specifier),
      }));
      modules.push({ ...file, imports });
    } catch (err) {
      if (!(err instanceof UnreadableImports)) throw err;
      violations.push(`${file.path} ${err.message}`);
    }
  }

  for (const module of modules) {
    for (const rule of [shapeFaults, tierFaults, packageFaults]) violations.push(...rule(module));
  }
  const imports = (module: Module) =>
    module.imports.flatMap(({ typeOnly, target }) => (typeOnly || target === undefined ? [] : [target]));
  violations.push(...circles(new Map(modules.map((module) => [module.path, imports(module)]))));
  const byFolder = Map.groupBy(modules, ({ path }) => folderOf(path));
  violations.push(
    ...circles(
      new Map(
        [...byFolder].map(([folder, own]) => [
          folder,
          own
            .flatMap(imports)
            .map(folderOf)
            .filter((other) => other !== folder),
        ]),
      ),
    ),
  );
  return violations;
}

function shapeFaults({ path, text }: Module): string[] {
  const faults: string[] = [];
  const lines = text.split('\n').length - 1;
  if (lines > LONGEST_FILE) faults.push(`${path} has ${lines} lines, more than ${LONGEST_FILE}`);
  if (basename(path) === 'index.ts') faults.push(`${path} is a barrel`);
  if (/^export default\b/m.test(text)) faults.push(`${path} has a default export`);
  if (/\bprocess(\.env\b|\[)/.test(text) && path !== 'main.ts' && folderOf(path) !== 'cli') {
    faults.push(`${path} reads the environment`);
  }
  return faults;
}

function tierFaults({ path, imports }: Module): string[] {
  return imports.flatMap(({ target, typeOnly }) => {
    if (target === undefined || folderOf(target) === folderOf(path)) return [];
    if (target.startsWith('..')) return [`${path} imports ${target} from outside src`];
    const own = tierOf(folderOf(path));
    const other = tierOf(folderOf(target));
    if (other > own) return [`${path} imports ${target}, which is above it`];
    if (other === own && own === FEATURES && !typeOnly) {
      return [`${path} imports a value from ${target}, another feature`];
    }
    return [];
  });
}

function packageFaults({ path, imports, text }: Module): string[] {
  const folder = folderOf(path);
  const isDomain = /-(service|store|read-model)\.ts$/.test(path);
  const faults = imports.flatMap(({ specifier }) => {
    // The migrator imports the migrations it finds.
    if (specifier === undefined) return path === 'db/migrator.ts' ? [] : [`${path} imports a computed name`];
    if (isPackage(specifier, 'oidc-provider') && folder !== 'oidc' && folder !== 'interactions') {
      return [`${path} imports oidc-provider`];
    }
    if (isDomain && KOA.some((name) => isPackage(specifier, name))) return [`${path} imports ${specifier}`];
    if (isPackage(specifier, 'node:process') || isPackage(specifier, 'process')) {
      return [`${path} imports ${specifier}`];
    }
    return [];
  });
  return /\brequire\(/.test(text) ? [...faults, `${path} uses require()`] : faults;
}

/** Those who import each other in a circle, each circle once. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (name: string, way: readonly string[]): void => {
    const start = way.indexOf(name);
    if (start >= 0) {
      found.push(`${[...way.slice(start), name].join(' → ')} is a circle`);
      return;
    }
    if (done.has(name)) return;
    for (const next of new Set(graph.get(name))) visit(next, [...way, name]);
    done.add(name);
  };
  for (const name of graph.keys()) visit(name, []);
  return found;
}

function isPackage(specifier: string, name: string): boolean {
  return specifier === name || specifier.startsWith(`${name}/`);
}

/** The folder at the top of src, or the file itself where it is at the top. */
function folderOf(path: string): string {
  return path.split('/')[0] ?? path;
}

function tierOf(folder: string): number {
  const named = TIERS.findIndex((tier) => tier.includes(folder));
  return named >= 0 ? named : FEATURES;
}
