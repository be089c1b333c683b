import type { Catalogue, Translated } from './find-faults.ts';

interface UsedKeys {
  keys: ReadonlySet<string>;
  /** Keys that code says and no catalogue has, a readable line each. */
  unknown: string[];
}

const CALL = /\b(?:t|html)\(\s*(?:'([^']+)'|"([^"]+)"|`([^`$]+)`)/g;
const LITERAL = /'([\w.-]+)'|"([\w.-]+)"|`([\w.-]+)`/g;
// The dynamic part is last, so that the group a key is from can be read.
const TEMPLATE = /`((?:[\w-]+\.)+)\$\{[^`]*\}`/g;

/**
 * Keys are found as they are written: as an argument of `t` and `html`, as any other string that is a key, and by the
 * beginning of a template.
 */
export function usedKeys(files: Translated['files'], texts: Catalogue): UsedKeys {
  const keys = new Set<string>();
  const unknown: string[] = [];
  const features = new Set([...texts.keys()].map((key) => key.split('.', 1)[0]));

  for (const { path, text } of files) {
    for (const [, ...names] of text.matchAll(CALL)) {
      const key = names.find(Boolean) ?? '';
      if (!texts.has(key)) unknown.push(`${path} says ${key}, which does not exist`);
    }
    for (const [, ...names] of text.matchAll(LITERAL)) keys.add(names.find(Boolean) ?? '');
    for (const [, prefix = ''] of text.matchAll(TEMPLATE)) {
      if (!features.has(prefix.split('.', 1)[0])) continue;
      const group = [...texts.keys()].filter((key) => key.startsWith(prefix));
      for (const key of group) keys.add(key);
      if (group.length === 0) unknown.push(`${path} says ${prefix}…, of which there is none`);
    }
  }
  return { keys, unknown };
}

/** The errors that `defineErrors` declares; a message that is put together has none here. */
export function errorDefinitions(
  files: Translated['files'],
): { code: string; message: string | undefined }[] {
  return files.flatMap(({ text }) =>
    [...text.matchAll(/defineErrors\('(\w+)', \{(.*?)\n\}\)/gs)].flatMap(([, prefix = '', body = '']) =>
      [...body.matchAll(/^ {2}(\w+): \{(.*?)\}/gms)].map(([, name = '', definition = '']) => ({
        code: `${prefix}.${name}`,
        message: messageOf(definition),
      })),
    ),
  );
}

function messageOf(definition: string): string | undefined {
  const [, single, double] = /message:\s*(?:'([^']*)'|"([^"]*)")/.exec(definition) ?? [];
  return single ?? double;
}
