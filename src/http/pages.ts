import { errorText } from '../i18n/error-texts.ts';
import type { PageWriter } from '../i18n/request-language.ts';
import type { ErrorPage } from './error-handler.ts';
import type { Views } from './views.ts';

/** The screens that belong to no feature, each returning a whole document. The words are in `views/http`. */

/**
 * Which page of trouble:
 * - `refused`: the request cannot be done as it was made (4xx); `message` says why
 * - `failed`: a fault of ours (5xx)
 * - `busy`: 503, or a limit was reached; trying again helps
 * - `expired`: the sign-in took too long or was finished in another tab
 * - `cookies`: the browser sent none of our cookies back
 * - `not_found`
 */
export type ErrorPageKind = 'refused' | 'failed' | 'busy' | 'expired' | 'cookies' | 'not_found';

export interface ErrorPageLocals {
  kind: ErrorPageKind;
  /** `null` for that of the kind. */
  title: string | null;
  /** Sentences for people; `null` for those of the kind. Never an internal detail. */
  message: string | null;
  /**
   * The one thing to do next; a path of our own or a validated web address. `text` is by default the kind's: `Try again`,
   * `Start again`. `null`: there is nothing to do here but to close the page or go back.
   */
  action: { text?: string; href: string } | null;
  /** The correlation id, which is in the log as well. */
  reference: string;
  at: Date;
  /** For developers, folded away: such as `error`, `error_description`, `client_id`. Only what the caller may know. */
  details: readonly { name: string; value: string }[];
}

export interface LandingLocals {
  issuer: string;
  /** The OpenID Connect discovery document. */
  discoveryUrl: string;
  /** The RFC 8414 document. */
  metadataUrl: string;
  jwksUrl: string;
  /** The demo application, where it runs. */
  demoUrl: string | null;
}

export type HttpPages = ReturnType<typeof createHttpPages>;

export function createHttpPages({ views }: { views: Views }) {
  function errorPage(language: PageWriter, locals: ErrorPageLocals): string {
    const at = `${locals.at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
    return views.render('http/error', { ...locals, at }, language);
  }

  return {
    errorPage,

    /** The page of the error handler. */
    requestErrorPage(
      language: PageWriter,
      { message, code, reference, time, status, retryHref }: ErrorPage,
    ): string {
      const translator = language.page();
      const { t } = translator;
      return errorPage(language, {
        kind: kindOf(status),
        title: t(`http.error.title.${titleOf(status)}`),
        message: errorText(translator, { code, message }) ?? null,
        action: retryHref === null ? null : { href: retryHref },
        reference,
        at: time,
        details: [
          { name: t('http.error.code'), value: code },
          { name: t('http.error.status'), value: String(status) },
        ],
      });
    },

    landingPage: (language: PageWriter, locals: LandingLocals): string =>
      views.render('http/landing', locals, language),
  };
}

function kindOf(status: number): ErrorPageKind {
  if (status === 404) return 'not_found';
  if (status === 503 || status === 429) return 'busy';
  return status >= 500 ? 'failed' : 'refused';
}

function titleOf(status: number): string {
  if (status === 404) return 'not_found';
  if (status === 401 || status === 403) return 'no_access';
  if (status === 429) return 'too_many';
  if (status === 503) return 'unavailable';
  return status >= 500 ? 'failed' : 'unhandled';
}
