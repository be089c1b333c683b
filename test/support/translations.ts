import { fixedLanguage } from '../../src/i18n/request-language.ts';
import { createTranslations } from '../../src/i18n/translations.ts';

export const LOCALES_DIR = new URL('../../locales/', import.meta.url).pathname;
export const translations = createTranslations({ dir: LOCALES_DIR });
export const english = fixedLanguage(translations.for('en'));
