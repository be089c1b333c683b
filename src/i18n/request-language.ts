import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AppMiddleware } from '../http/request-state.ts';
import { readChoice } from './locale-choice.ts';
import { fromAcceptLanguage, fromUiLocales, matchLocale } from './negotiate.ts';
import { SOURCE_LOCALE } from './translations.ts';
import type { Translations, Translator } from './translations.ts';

/**
 * The language a request is answered in: what the app asks for (`ui_locales`), else what the person chose in this browser,
 * else in their account, else what the browser prefers (`Accept-Language`), else the tenant's, else English. Nothing is
 * looked at before somebody asks, so that requests without a page pay nothing.
 */
export interface RequestLanguage {
  /** The best by what is known so far. */
  translator: () => Translator;
  /** Takes what was learned since, such as the parameters of the authorization request once they are validated. */
  learn: (wishes: LanguageWishes) => void;
  /** What a page needs; says in the response's headers which language it is in, and why. */
  page: () => PageLanguage;
}

/** Whoever writes pages needs no more. */
export type PageWriter = Pick<RequestLanguage, 'page'>;

export interface LanguageWishes {
  /** Of the authorization request, tags separated by spaces. */
  uiLocales?: string | undefined;
  /** What the account's owner saved as theirs. */
  account?: string | undefined;
  /** The tenant's setting `locale`. */
  tenant?: string | undefined;
}

export interface PageLanguage extends Translator {
  /** Offers the other languages; null where a page is in one language only. */
  switcher: LanguageSwitcher | null;
}

export interface LanguageSwitcher {
  options: readonly { locale: string; name: string; dir: 'ltr' | 'rtl'; isCurrent: boolean }[];
  /** Where the page is seen again, path and query. */
  returnTo: string;
  /** The language an app asked for, which a choice made here overrules. */
  over: string;
}

const LANGUAGE = Symbol('language');

interface Known extends IncomingMessage {
  [LANGUAGE]?: RequestLanguage;
}

/** The same as `ctx.state.language`, for the protocol engine's contexts, which have a state of their own. */
export function requestLanguageOf({ req }: { req: IncomingMessage }): RequestLanguage {
  const language = (req as Known)[LANGUAGE];
  if (!language) throw new Error('the request has not passed the language middleware');
  return language;
}

type LanguageGiver = (req: IncomingMessage, res: ServerResponse) => RequestLanguage;

/** Gives a request its language, before its address is shortened by anybody. */
export function createLanguageGiver(translations: Translations): LanguageGiver {
  const names = namesOf(translations);
  return (req, res) => {
    const language = languageOf(req, res, translations, names);
    (req as Known)[LANGUAGE] = language;
    return language;
  };
}

/** Gives every request its language, as `ctx.state.language`. */
export function requestLanguage(giveLanguage: LanguageGiver): AppMiddleware {
  return (ctx, next) => {
    ctx.state.language = giveLanguage(ctx.req, ctx.res);
    return next();
  };
}

/** A page in one language, whoever reads it, such as those for developers. */
export function fixedLanguage(translator: Translator): PageWriter {
  const page = { ...translator, switcher: null };
  return { page: () => page };
}

type LanguageNames = readonly { locale: string; name: string; dir: 'ltr' | 'rtl' }[];

function languageOf(
  req: IncomingMessage,
  res: ServerResponse,
  { locales, for: translatorFor }: Translations,
  names: LanguageNames,
): RequestLanguage {
  const { method, url: originalUrl = '/' } = req;
  let wishes: LanguageWishes = {};
  let decided: { locale: string; wished: string | undefined } | undefined;

  function decide() {
    const choice = readChoice(req, locales);
    const wished = wishes.uiLocales === undefined ? undefined : fromUiLocales(wishes.uiLocales, locales);
    const isOverruled = choice?.over !== undefined && choice.over === wished;
    const locale =
      (isOverruled ? choice.locale : wished) ??
      choice?.locale ??
      (wishes.account && matchLocale(wishes.account, locales)) ??
      fromAcceptLanguage(req.headers['accept-language'] ?? '', locales) ??
      (wishes.tenant && matchLocale(wishes.tenant, locales)) ??
      SOURCE_LOCALE;
    return { locale, wished };
  }

  function translator(): Translator {
    decided ??= decide();
    return translatorFor(decided.locale);
  }

  return {
    translator,
    learn(more) {
      wishes = { ...wishes, ...more };
      decided = undefined;
    },
    page() {
      const chosen = translator();
      announce(res, chosen);
      const options = names.map((one) => ({ ...one, isCurrent: one.locale === chosen.locale }));
      // What a form led to cannot be seen again by its address.
      const switcher =
        method === 'GET' ? { options, returnTo: originalUrl, over: decided?.wished ?? '' } : null;
      return { ...chosen, switcher };
    },
  };
}

function announce(res: ServerResponse, { locale }: Translator): void {
  if (res.headersSent) return;
  res.setHeader('Content-Language', locale);
  const vary = res.getHeader('Vary');
  const fields = new Set(
    String(vary ?? '')
      .split(/\s*,\s*/)
      .filter(Boolean),
  );
  for (const name of ['Accept-Language', 'Cookie']) fields.add(name);
  res.setHeader('Vary', [...fields].join(', '));
}

/** Each language by its own name, as those who look for it know it. */
function namesOf({ locales, for: translatorFor }: Translations): LanguageNames {
  return locales.map((locale) => {
    const name = new Intl.DisplayNames(locale, { type: 'language' }).of(locale) ?? locale;
    return {
      locale,
      name: name.charAt(0).toLocaleUpperCase(locale) + name.slice(1),
      dir: translatorFor(locale).dir,
    };
  });
}
