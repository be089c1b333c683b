import { argumentsOf } from './message-shape.ts';
import type { MessageShape } from './message-shape.ts';
import { errorDefinitions, usedKeys } from './used-keys.ts';

/** Texts by their full key, such as `interactions.password.title`. */
export type Catalogue = ReadonlyMap<string, unknown>;

export interface Translated {
  /** The language the others are translated from. */
  source: string;
  catalogues: ReadonlyMap<string, Catalogue>;
  /** Code and views that say the texts. */
  files: readonly { path: string; text: string }[];
}

/** @returns what is wrong with the catalogues, a readable line each */
export function findTranslationFaults({ source, catalogues, files }: Translated): string[] {
  const texts = catalogues.get(source) ?? new Map<string, unknown>();
  return [
    ...[...catalogues].flatMap(([locale, own]) => [...textFaults(locale, own)]),
    ...[...catalogues]
      .filter(([locale]) => locale !== source)
      .flatMap(([locale, own]) => [...differences(texts, locale, own)]),
    ...usageFaults(texts, files),
    ...errorFaults(texts, files),
  ];
}

function* textFaults(locale: string, texts: Catalogue): Generator<string> {
  for (const [key, text] of texts) {
    const place = `${locale}: ${key}`;
    if (typeof text !== 'string') yield `${place} is no text`;
    else if (text.trim() !== text || text === '') yield `${place} is empty or has blanks around it`;
    else if (/&#?\w+;/.test(text)) yield `${place} holds HTML`;
    else {
      const shape = shapeOf(text);
      if (typeof shape === 'string') yield `${place} is no ICU message: ${shape}`;
      else yield* pluralFaults(place, locale, shape);
    }
  }
}

/** A language has forms that no count of things takes: French `many` is for millions. */
function* pluralFaults(place: string, locale: string, { plurals }: MessageShape): Generator<string> {
  const rules = new Intl.PluralRules(locale);
  const needed = new Set([...Array(201).keys()].map((count) => rules.select(count)));
  for (const forms of plurals) {
    const missing = [...needed].filter((form) => !forms.includes(form));
    if (missing.length > 0) yield `${place} lacks the plural forms ${missing.join(', ')}`;
  }
}

function* differences(source: Catalogue, locale: string, own: Catalogue): Generator<string> {
  for (const key of source.keys()) if (!own.has(key)) yield `${locale}: ${key} is missing`;
  for (const [key, text] of own) {
    const place = `${locale}: ${key}`;
    const original = source.get(key);
    if (original === undefined) {
      yield `${place} is in no other language`;
      continue;
    }
    if (typeof text !== 'string' || typeof original !== 'string') continue;
    const [shape, expected] = [shapeOf(text), shapeOf(original)];
    if (typeof shape === 'string' || typeof expected === 'string') continue;
    for (const part of ['arguments', 'tags', 'choices'] as const) {
      const [found, wanted] = [shape[part].join(', '), expected[part].join(', ')];
      if (found !== wanted)
        yield `${place} has the ${part} ${found || 'none'} instead of ${wanted || 'none'}`;
    }
    if (text === original && isSentence(text)) yield `${place} is not translated`;
  }
}

/** Names and technical terms may be the same in two languages; three words in a row are not. */
function isSentence(text: string): boolean {
  return /\p{L}{2,} \p{L}{2,} \p{L}{2,}/u.test(text);
}

function usageFaults(texts: Catalogue, files: Translated['files']): string[] {
  const used = usedKeys(files, texts);
  const unused = [...texts.keys()].filter((key) => !key.startsWith('errors.') && !used.keys.has(key));
  return [...used.unknown, ...unused.map((key) => `${key} is used nowhere`)];
}

/**
 * A prefix that screens translate is translated as a whole; its English is what the code says. A code may be said in
 * several ways, such as to programs and to people.
 */
function errorFaults(texts: Catalogue, files: Translated['files']): string[] {
  const defined = errorDefinitions(files);
  const codes = files.map(({ text }) => text).join('\n');
  const faults: string[] = [];
  for (const { code, message } of defined) {
    const key = `errors.${code}`;
    const prefix = key.slice(0, key.lastIndexOf('.') + 1);
    if (![...texts.keys()].some((other) => other.startsWith(prefix))) continue;
    if (!texts.has(key)) faults.push(`${key} is missing`);
    else if (message !== undefined && !codes.includes(String(texts.get(key))))
      faults.push(`${key} is “${String(texts.get(key))}”, but the code says “${message}”`);
  }
  const known = new Set(defined.map(({ code }) => `errors.${code}`));
  for (const key of texts.keys()) {
    const code = key.slice('errors.'.length);
    if (key.startsWith('errors.') && !known.has(key) && !codes.includes(`'${code}'`))
      faults.push(`${key} is of no error`);
  }
  return faults;
}

function shapeOf(text: string): MessageShape | string {
  try {
    return argumentsOf(text);
  } catch (err) {
    return err instanceof Error ? err.message : String(err);
  }
}
