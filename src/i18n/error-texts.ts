import type { AppError, FieldError } from '../lib/errors.ts';
import { SOURCE_LOCALE } from './translations.ts';
import type { Translator } from './translations.ts';

/**
 * Errors on screens. Their messages are English, for APIs and logs; the same in the reader's language is found by the code:
 * `csrf.bad_token` is `"bad_token"` in `locales/<locale>/errors/csrf.json`.
 */

/** @returns undefined where there is no text in the reader's language; better a general one then than English */
export function errorText(
  translator: Translator,
  { code, message }: Pick<AppError, 'code' | 'message'>,
): string | undefined {
  const key = `errors.${code}`;
  if (translator.locale === SOURCE_LOCALE) return message;
  return translator.has(key) ? translator.t(key) : undefined;
}

/** What is wrong with a field of a form. */
export function fieldErrorText(translator: Translator, { code, values, message }: FieldError): string {
  const key = `errors.${code ?? ''}`;
  return code !== undefined && translator.has(key) ? translator.t(key, values) : message;
}
