import { dirname, join } from 'node:path/posix';

export interface Import {
  /** As written; undefined where it is computed. */
  specifier: string | undefined;
  /** Erased before the code runs. */
  typeOnly: boolean;
}

export class UnreadableImports extends Error {}

/**
 * The imports and re-exports of a module. TypeScript 7 has no API to ask, but the formatter puts every
 * such statement at the start of a line with single quotes, so a pattern is enough; and one that it does
 * not match is an error here rather than an import that nobody checks.
 */
export function readImports(text: string): Import[] {
  const statements = [
    ...text.matchAll(/^(?:import|export)\s(?<clause>[^'"`;=()]*?)\s?from '(?<specifier>[^']+)';/gm),
  ];
  const effects = [...text.matchAll(/^import '(?<specifier>[^']+)';/gm)];
  const dynamic = [...text.matchAll(/\bimport\(\s*(?:'(?<specifier>[^']+)'\s*\))?/g)];

  const lines = text.match(/^(import\b(?!\s*[(.])|export\s[^'"`;=()]*?\sfrom\s*['"])/gm)?.length ?? 0;
  if (lines !== statements.length + effects.length) {
    throw new UnreadableImports('has an import that cannot be read; is it formatted?');
  }

  return [...statements, ...effects, ...dynamic].map(({ groups }) => ({
    specifier: groups?.['specifier'],
    typeOnly: /^type\b/.test(groups?.['clause'] ?? ''),
  }));
}

/** @returns the imported file's path, or undefined for a package */
export function resolveImport(from: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? join(dirname(from), specifier) : undefined;
}
