import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ejs from 'ejs';
import type { PageLanguage, PageWriter } from '../i18n/request-language.ts';

/**
 * Renders pages: `views/<feature>/<name>.ejs` inside `views/layout.ejs`. Templates are read and compiled once, here, and
 * nothing a person sent is ever part of a template's source or of its options.
 *
 * What a template finds besides its locals:
 * - `layout({ title, … })`, which every page calls first, see `LayoutOptions`;
 * - `partial(name, locals)`, a fragment of `views/partials`, with nothing but the locals it is given;
 * - `t(key, values)`, a text in the page's language, to be printed with `<%= %>`, and `html(key, values)`, a sentence with
 *   emphasis, links or names in it, to be printed with `<%- %>`; see `Translator`;
 * - `language`, in which the page is written: `locale`, `dir`, `timeAgo(…)`, …;
 * - `asset(name)`, the URL of a file of `views/assets`;
 * - `safeUrl(url)`, an address that came from outside, or `''` if following it could run a script.
 * `<%= %>` escapes; a local that is missing throws instead of printing nothing.
 */

export interface Views {
  /**
   * @param name such as `interactions/password`
   * @param language of the request: `ctx.state.language`
   * @returns the whole document
   * @throws {Error} for an unknown view and for a local that is missing
   */
  render: (name: string, locals: object, language: PageWriter) => string;
}

export interface LayoutOptions {
  /** Of the window, without the product's name. */
  title: string;
  /** The form came back with a fault, which the title says first (WCAG 2.4.2, 3.3.1). */
  hasError?: boolean;
  /** 720 px for reading, instead of the 400 px of a form. */
  wide?: boolean;
  /** The width of the account portal, with its navigation beside it. */
  portal?: boolean;
  /** Modules of `views/assets`, such as `forms` for `forms.js`. */
  scripts?: readonly string[];
}

type Template = (locals: object) => string;

export function createViews({ dir, assetUrl }: { dir: string; assetUrl: (name: string) => string }): Views {
  const templates = compileAll(dir);

  function template(name: string): Template {
    const found = templates.get(name);
    if (!found) throw new Error(`There is no view ${name}`);
    return found;
  }

  function helpersIn(language: PageLanguage) {
    const { t, html } = language;
    const helpers = { t, html, language, asset: assetUrl, safeUrl, partial };

    function partial(name: string, locals: object = {}): string {
      return template(`partials/${name}`)(extend(locals, helpers));
    }
    return helpers;
  }

  return {
    render(name, locals, writer) {
      const helpers = helpersIn(writer.page());
      let options: LayoutOptions | undefined;
      const layout = (chosen: LayoutOptions): void => {
        options = chosen;
      };

      const content = template(name)(extend(locals, { ...helpers, layout }));

      if (!options) throw new Error(`The view ${name} does not call layout({ title })`);
      return template('layout')({ ...LAYOUT_DEFAULTS, ...options, ...helpers, content });
    },
  };
}

const LAYOUT_DEFAULTS = {
  hasError: false,
  wide: false,
  portal: false,
  scripts: [],
} satisfies Partial<LayoutOptions>;

/** A local by a helper's name would be lost without a word. */
function extend(locals: object, helpers: object): object {
  const clash = Object.keys(locals).find((name) => Object.hasOwn(helpers, name));
  if (clash) throw new Error(`A local is named like the helper ${clash}`);
  return { ...locals, ...helpers };
}

function compileAll(dir: string): Map<string, Template> {
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ejs'),
  );
  return new Map(
    files.map((file) => {
      const filename = join(dir, file);
      const compiled = ejs.compile(readFileSync(filename, 'utf8'), { filename, escape: escapeHtml });
      return [file.slice(0, -'.ejs'.length), compiled];
    }),
  );
}

/** For text and for quoted attribute values. */
function escapeHtml(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new TypeError(`A view prints ${value === null ? 'null' : typeof value} where a text belongs`);
  }
  return ejs.escapeXML(String(value));
}

/** Web addresses and paths of our own; never `javascript:` or `data:`, nor `//host`, which looks like a path. */
function safeUrl(url: string): string {
  return /^https?:\/\//i.test(url) || /^\/(?![/\\])/.test(url) ? url : '';
}
