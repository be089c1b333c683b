import { fixedLanguage } from '../../src/i18n/request-language.ts';
import type { PageWriter } from '../../src/i18n/request-language.ts';
import { createTranslations } from '../../src/i18n/translations.ts';

const LOCALES_DIR = new URL('../../locales/', import.meta.url).pathname;
export const translations = createTranslations({ dir: LOCALES_DIR });
export const english = fixedLanguage(translations.for('en'));

/** As a page of the server is, with the switcher. */
export function pageWriter(locale: string): PageWriter {
  const options = translations.locales.map((one) => ({
    locale: one,
    name: new Intl.DisplayNames(one, { type: 'language' }).of(one) ?? one,
    dir: translations.for(one).dir,
    isCurrent: one === locale,
  }));
  const page = { ...translations.for(locale), switcher: { options, returnTo: '/here', over: '' } };
  return { page: () => page };
}
