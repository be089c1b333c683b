import type { Views } from '../http/views.ts';
import { fieldErrorText } from '../i18n/error-texts.ts';
import type { PageWriter } from '../i18n/request-language.ts';
import type { Translator } from '../i18n/translations.ts';
import type { ConfirmReason } from './confirm-reason.ts';
import type { MailedError } from './mailed-state.ts';
import type { Form, Purpose } from './pages.ts';

/** The screens of recovery, sign-up and codes; as those of pages.ts they say and do not decide. */

export interface SendLocals extends Purpose {
  kind: 'forgot' | 'email_code' | 'sign_up';
  /** The person is signed in and has to prove it again. */
  isConfirmation: boolean;
  /** What for, if that is known. */
  reason: ConfirmReason | null;
  /** Posts `email`, except for `email_code`, whose address is fixed. */
  form: Form;
  email: string;
  error: MailedError | null;
  /** To another address: the identifier page. */
  changeHref: string;
  signInHref: string;
  cancelHref: string;
}

export interface CodeLocals extends Purpose {
  purpose: 'password_reset' | 'sign_in' | 'sign_up';
  /** Posts `code`. */
  form: Form;
  resendForm: Form;
  email: string;
  error: MailedError | null;
  /** Until another code can be asked for. */
  resendSeconds: number;
  changeHref: string;
  cancelHref: string;
}

export interface ChooseLocals extends Purpose {
  kind: 'new_password' | 'own_password' | 'sign_up_profile';
  /** Posts `password`; `everywhere` for a new one; `name` and the like for a profile. */
  form: Form;
  email: string;
  fields: readonly { name: string; value: string }[];
  password: { minLength: number; maxLength: number };
  error: MailedError | null;
  cancelHref: string;
}

export interface ProfileLocals extends Purpose {
  /** Posts the fields. */
  form: Form;
  skipForm: Form;
  email: string;
  fields: readonly { name: string; value: string }[];
  error: MailedError | null;
  cancelHref: string;
}

export interface LinkLocals extends Purpose {
  /** Posts `token`. */
  form: Form;
  email: string;
  token: string;
  cancelHref: string;
}

export type MailedPages = ReturnType<typeof createMailedPages>;

/** What managers and browsers fill in. */
const AUTOCOMPLETE: Readonly<Record<string, string>> = {
  name: 'name',
  given_name: 'given-name',
  family_name: 'family-name',
  phone_number: 'tel',
};

export function createMailedPages({ views }: { views: Views }) {
  return {
    sendPage: (language: PageWriter, locals: SendLocals): string =>
      views.render('interactions/send-code', { ...locals, fault: faultOf(locals.error, language) }, language),

    codePage: (language: PageWriter, locals: CodeLocals): string =>
      views.render(
        'interactions/code',
        {
          ...locals,
          fault: faultOf(locals.error, language),
          wait: language.page().duration(Math.max(1, locals.resendSeconds)),
        },
        language,
      ),

    choosePage: (language: PageWriter, locals: ChooseLocals): string =>
      views.render(
        'interactions/choose-password',
        {
          ...locals,
          fields: locals.fields.map(withAutocomplete),
          fault: locals.error?.reason === 'fields' ? null : faultOf(locals.error, language),
          errors: fieldErrors(locals.error, language.page()),
        },
        language,
      ),

    profilePage: (language: PageWriter, locals: ProfileLocals): string =>
      views.render(
        'interactions/profile',
        {
          ...locals,
          fields: locals.fields.map(withAutocomplete),
          errors: fieldErrors(locals.error, language.page()),
        },
        language,
      ),

    linkPage: (language: PageWriter, locals: LinkLocals): string =>
      views.render('interactions/link', locals, language),
  };
}

function withAutocomplete<Field extends { name: string }>(field: Field) {
  return { ...field, autocomplete: AUTOCOMPLETE[field.name] ?? 'off' };
}

/** Waiting is a warning, everything else a mistake. */
function faultOf(error: MailedError | null, language: PageWriter) {
  if (error === null || error.reason === 'fields') return null;
  const { t, duration } = language.page();
  const wait = 'retryAfterSeconds' in error ? duration(error.retryAfterSeconds) : '';
  const isWarning = wait !== '' || error.reason === 'busy';
  return { tone: isWarning ? 'warning' : 'danger', text: t(`recovery.error.${error.reason}`, { wait }) };
}

/** The first fault of each field, by the last part of its path. */
function fieldErrors(error: MailedError | null, translator: Translator): Record<string, string> {
  if (error?.reason !== 'fields') return {};
  return Object.fromEntries(
    error.faults.toReversed().map(({ path, message, code, values }) => [
      path.split('/').at(-1) ?? '',
      fieldErrorText(translator, {
        path,
        message,
        ...(code === undefined ? {} : { code }),
        ...(values === undefined ? {} : { values }),
      }),
    ]),
  );
}
