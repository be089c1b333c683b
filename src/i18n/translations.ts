import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { createFormats } from './formats.ts';
import type { Formats } from './formats.ts';
import { compileMessage } from './message.ts';
import type { HtmlValues, Message, TextValues } from './message.ts';

/**
 * What people read, in their language. A text lives in `locales/<locale>/<feature>.json` under a flat key; its full key is
 * `<feature>.<key>`, so that `t('interactions.password.title')` is `"password.title"` of `interactions.json`. Each feature
 * has a file of its own per language, and adds to no other; folders count as dots. Texts are ICU messages: `{name}`, `{count, plural, one {…}
 * other {…}}`, `{kind, select, …}`, and tags where words are emphasized or linked. They hold no HTML.
 *
 * English is the source; every other language has the same keys with the same arguments, which `npm run
 * check:translations` proves. How to add a text or a language: docs/i18n.md. Which language a request is answered in:
 * request-language.ts.
 */

/** Where a language has no text, and where nobody asks for one. */
export const SOURCE_LOCALE = 'en';

export interface Translator extends Formats {
  /** A BCP 47 tag, such as `de`. */
  locale: string;
  /** Which way the language is written. */
  dir: 'ltr' | 'rtl';
  /**
   * Plain text, which whoever puts it into HTML escapes. Tags of the message are left out, their words stay.
   * @throws {Error} for a key that no catalogue has, and for an argument that is missing
   */
  t: (key: string, values?: TextValues) => string;
  /**
   * The same as HTML that is safe to print as it is: texts are escaped, and those that come in are kept from changing the
   * direction of the sentence. `<b>`, `<code>` and `<em>` are as in HTML; any other tag is a link that the values describe:
   * `{ link: { href: '/terms' } }` for “the <link>terms</link>”.
   */
  html: (key: string, values?: HtmlValues) => string;
  has: (key: string) => boolean;
}

export interface Translations {
  /** Those there are catalogues for, the source first. */
  locales: readonly string[];
  /** @throws {Error} for a locale that is not one of `locales` */
  for: (locale: string) => Translator;
}

/** @param options.dir holds a folder for each locale; read once, here */
export function createTranslations({ dir }: { dir: string }): Translations {
  const catalogues = new Map(readCatalogues(dir));
  const source = catalogues.get(SOURCE_LOCALE);
  if (!source) throw new Error(`${dir} has no catalogues of ${SOURCE_LOCALE}`);
  const translators = new Map(
    [...catalogues].map(([locale, texts]) => [locale, createTranslator(locale, texts, source)]),
  );

  return {
    locales: [SOURCE_LOCALE, ...[...catalogues.keys()].filter((locale) => locale !== SOURCE_LOCALE).sort()],
    for(locale) {
      const found = translators.get(locale);
      if (!found) throw new Error(`There are no texts in ${locale}`);
      return found;
    },
  };
}

type Catalogue = ReadonlyMap<string, string>;

function createTranslator(locale: string, texts: Catalogue, source: Catalogue): Translator {
  // Parsed when first said: a process says few of its texts, and starts sooner.
  const messages = new Map<string, Message>();

  function message(key: string): Message {
    const known = messages.get(key);
    if (known) return known;
    const own = texts.get(key);
    const text = own ?? source.get(key);
    if (text === undefined) throw new Error(`There is no text ${key}`);
    const compiled = compileMessage(text, own === undefined ? SOURCE_LOCALE : locale);
    messages.set(key, compiled);
    return compiled;
  }

  return {
    locale,
    dir: directionOf(locale),
    t: (key, values) => message(key).text(values),
    html: (key, values) => message(key).html(values),
    has: (key) => source.has(key),
    ...createFormats(locale),
  };
}

function* readCatalogues(dir: string): Generator<[locale: string, texts: Catalogue]> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const texts = new Map<string, string>();
    for (const file of readdirSync(join(dir, entry.name), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.json')) continue;
      const feature = file.slice(0, -'.json'.length).replaceAll(sep, '.');
      const content = JSON.parse(readFileSync(join(dir, entry.name, file), 'utf8')) as Record<string, string>;
      for (const [key, text] of Object.entries(content)) texts.set(`${feature}.${key}`, text);
    }
    yield [entry.name, texts];
  }
}

function directionOf(locale: string): 'ltr' | 'rtl' {
  return /^(ar|dv|fa|he|ku|ps|ur|yi)\b/.test(locale) ? 'rtl' : 'ltr';
}
