import Router from '@koa/router';
import { z } from 'zod';
import { saveChoice } from '../i18n/locale-choice.ts';
import { matchLocale } from '../i18n/negotiate.ts';
import type { Translations } from '../i18n/translations.ts';
import { parseForm } from './body.ts';
import type { RequestState } from './request-state.ts';
import { seeOther } from './see-other.ts';

const form = z.object({
  locale: z.string().max(35),
  over: z.string().max(35).default(''),
  return_to: z.string().max(16_000).default('/'),
});

/**
 * `POST /locale`: the language switcher of every page. It needs no CSRF token: whoever made a browser send it has changed
 * the language of pages, which is seen and undone at once.
 */
export function localeRoutes({ translations, publicUrl }: { translations: Translations; publicUrl: string }) {
  const router = new Router<RequestState>();
  const { locales } = translations;

  router.post('/locale', async (ctx) => {
    const { locale, over, return_to: returnTo } = await parseForm(ctx, form);
    const chosen = matchLocale(locale, locales);
    if (chosen)
      saveChoice(
        ctx,
        { locale: chosen, over: matchLocale(over, locales) },
        { secure: publicUrl.startsWith('https:') },
      );
    seeOther(ctx, ownPath(returnTo));
  });

  return router;
}

/** Browsers read `//host` and `/\host` as another site, and drop tabs and line breaks before they look. */
function ownPath(path: string): string {
  return /^\/(?![/\\])[\x21-\x7e]*$/.test(path) ? path : '/';
}
