import type { IncomingMessage } from 'node:http';
import type { AppContext } from '../http/request-state.ts';
import { matchLocale } from './negotiate.ts';

/**
 * The language a person chose in this browser, in a cookie. `fr` is a wish like any other; `fr.de` was chosen on a page that
 * an app had asked for in German, and holds against that.
 */
export interface LocaleChoice {
  locale: string;
  over: string | undefined;
}

const COOKIE = 'gatehouse_locale';
const KEPT_MS = 365 * 86_400_000;
const PATTERN = new RegExp(`(?:^|;\\s*)${COOKIE}=([A-Za-z-]{2,35})(?:\\.([A-Za-z-]{2,35}))?(?:;|$)`);

/** @returns undefined for a cookie that says nothing we know */
export function readChoice(
  { headers }: IncomingMessage,
  locales: readonly string[],
): LocaleChoice | undefined {
  const [, chosen, over] = PATTERN.exec(headers.cookie ?? '') ?? [];
  const locale = chosen && matchLocale(chosen, locales);
  return locale ? { locale, over: over && matchLocale(over, locales) } : undefined;
}

export function saveChoice(
  ctx: Pick<AppContext, 'cookies'>,
  { locale, over }: LocaleChoice,
  { secure }: { secure: boolean },
): void {
  const value = over === undefined ? locale : `${locale}.${over}`;
  ctx.cookies.set(COOKIE, value, { ...optionsOf(secure), maxAge: KEPT_MS });
}

/** Something else was chosen that holds for this browser as well, such as the language of the account. */
export function forgetChoice(ctx: Pick<AppContext, 'cookies'>, { secure }: { secure: boolean }): void {
  ctx.cookies.set(COOKIE, null, optionsOf(secure));
}

function optionsOf(secure: boolean) {
  return { httpOnly: true, sameSite: 'lax', secure, path: '/', signed: false, overwrite: true } as const;
}
