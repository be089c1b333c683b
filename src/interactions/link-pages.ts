import type { Views } from '../http/views.ts';
import { fieldErrorText } from '../i18n/error-texts.ts';
import type { PageWriter } from '../i18n/request-language.ts';
import type { FieldError } from '../lib/errors.ts';
import type { Form } from './pages.ts';

/** The pages that links of mails open in browsers that did not ask for them. */

export interface OpenLinkLocals {
  kind: 'password_reset' | 'invitation' | 'email_change_undo' | 'verify_email' | 'unlock';
  tenant: { name: string };
  /** Posts `token`, and `password` for all but `verify_email` and `unlock`. */
  form: Form;
  token: string;
  email: string;
  password: { minLength: number; maxLength: number };
  /** Of the password. */
  faults: readonly FieldError[];
}

export interface LinkEndLocals {
  kind:
    | 'password_reset'
    | 'invitation'
    | 'email_change_undo'
    | 'verify_email'
    | 'unlock'
    | 'elsewhere'
    | 'used'
    | 'expired'
    | 'taken'
    | 'renewed';
  tenant: { name: string };
  /** The app to go on to, if it has a web address. */
  app: { name: string; href: string } | null;
  /** Asks for a new invitation; posts `token`. */
  renew: { form: Form; token: string } | null;
}

export type LinkPages = ReturnType<typeof createLinkPages>;

export function createLinkPages({ views }: { views: Views }) {
  return {
    openPage(language: PageWriter, { faults, ...locals }: OpenLinkLocals): string {
      const [first] = faults;
      const error = first ? fieldErrorText(language.page(), first) : null;
      return views.render('interactions/open-link', { ...locals, error }, language);
    },
    endPage: (language: PageWriter, locals: LinkEndLocals): string =>
      views.render('interactions/link-end', locals, language),
  };
}
