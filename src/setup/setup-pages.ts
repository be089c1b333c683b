import type { Views } from '../http/views.ts';
import type { PageWriter } from '../i18n/request-language.ts';

/** The screens that make the first administrator, each returning a whole document. The words are in `views/setup`. */

export interface SetupLocals {
  /** Posts `csrf`, `token`, `email`, `name` and `password`. */
  action: string;
  csrf: string;
  /** Of the set-up link; it is posted back, so that the link is used by the POST and not by looking at it. */
  token: string;
  /** What was typed before, else `''`. Never the password. */
  values: { email: string; name: string };
  /** A sentence for every faulty field. */
  errors: { email?: string; name?: string; password?: string };
  /** What passwords must be, said before typing and to password managers, in characters. */
  password: { minLength: number; maxLength: number };
}

export interface SetupDoneLocals {
  email: string;
  /** The demo application, where it runs. */
  demoUrl: string | null;
}

export interface SetupClosedLocals {
  /** `done`: there is an administrator already. `expired`: also for links that never existed. */
  reason: 'used' | 'expired' | 'done';
}

export type SetupPages = ReturnType<typeof createSetupPages>;

export function createSetupPages({ views }: { views: Views }) {
  return {
    setupPage: (language: PageWriter, locals: SetupLocals): string =>
      views.render('setup/form', locals, language),
    setupDonePage: (language: PageWriter, locals: SetupDoneLocals): string =>
      views.render('setup/done', locals, language),
    setupClosedPage: (language: PageWriter, locals: SetupClosedLocals): string =>
      views.render('setup/closed', locals, language),
  };
}
