import { IntlMessageFormat } from 'intl-messageformat';
import { formattingLocale } from './formats.ts';

/** One text of a catalogue, parsed. */
export interface Message {
  text: (values?: TextValues) => string;
  html: (values?: HtmlValues) => string;
}

export type TextValues = Readonly<Record<string, string | number | Date>>;

/** A link of a sentence; its words are in the message. */
export interface MessageLink {
  /** A path of our own or a web address; anything else becomes a link to nowhere. */
  href: string;
}

export type HtmlValues = Readonly<Record<string, string | number | Date | MessageLink>>;

/** @throws {SyntaxError} when the text is no ICU message */
export function compileMessage(source: string, locale: string): Message {
  const format = new IntlMessageFormat(source, formattingLocale(locale));
  const tags = [...source.matchAll(/<([a-zA-Z][\w-]*)>/g)].map(([, name = '']) => name);

  const plain = Object.fromEntries(tags.map((name) => [name, (words: unknown[]) => words.join('')]));
  const rich = Object.fromEntries(tags.map((name) => [name, (words: unknown[]) => element(name, words)]));

  return {
    text: (values = {}) => toText(format.format({ ...values, ...plain })),

    html(values = {}) {
      const safe = Object.fromEntries(
        Object.entries(values).map(([name, value]) => {
          if (typeof value === 'string') return [name, new Isolated(value)];
          return [name, isLink(value) ? (words: unknown[]) => link(value, words) : value];
        }),
      );
      return toHtml(format.format<unknown>({ ...rich, ...safe }));
    },
  };
}

/** HTML of ours, between texts that are still to be escaped. */
class Html {
  readonly html: string;
  constructor(html: string) {
    this.html = html;
  }
}

/** A text from elsewhere; `select` still chooses by it. */
class Isolated extends Html {
  readonly #text: string;
  constructor(text: string) {
    super(`<bdi>${escapeHtml(text)}</bdi>`);
    this.#text = text;
  }
  override toString(): string {
    return this.#text;
  }
}

function element(name: string, words: unknown[]): Html {
  if (!['b', 'code', 'em'].includes(name)) throw new Error(`The tag <${name}> needs a value`);
  return new Html(`<${name}>${toHtml(words)}</${name}>`);
}

function link({ href }: MessageLink, words: unknown[]): Html {
  const safe = /^https?:\/\//i.test(href) || /^\/(?![/\\])/.test(href) ? href : '';
  return new Html(`<a href="${escapeHtml(safe)}">${toHtml(words)}</a>`);
}

function isLink(value: number | Date | MessageLink): value is MessageLink {
  return typeof value === 'object' && 'href' in value;
}

function toHtml(parts: unknown): string {
  if (Array.isArray(parts)) return parts.map(toHtml).join('');
  return parts instanceof Html ? parts.html : escapeHtml(String(parts));
}

function toText(parts: unknown): string {
  return Array.isArray(parts) ? parts.map(toText).join('') : String(parts);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
