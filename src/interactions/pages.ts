import type { Clock } from '../lib/clock.ts';
import type { Views } from '../http/views.ts';
import type { PageWriter } from '../i18n/request-language.ts';
import type { Translator } from '../i18n/translations.ts';
import type { ConfirmReason } from './confirm-reason.ts';
import { describeGroup, type ConsentGroup } from './scope-texts.ts';

/**
 * The screens of signing in and out, one function a screen, each returning a whole document. They say; they do not
 * decide: what is shown comes in as locals, and the words are in `views/interactions`.
 *
 * Every form posts `csrf` besides what its screen names. Answer a POST with 303, also when a fault is to be shown.
 */

/** Where people are on their way to, and in whose name. */
export interface Purpose {
  /** The application's display name. */
  app: { name: string };
  tenant: { name: string };
}

export interface Form {
  /** Path of our own that the form posts to. */
  action: string;
  csrf: string;
}

export interface IdentifierLocals extends Purpose {
  /** Posts `username`. */
  form: Form;
  /** What is in the field: typed before, or `login_hint`; else `''`. */
  email: string;
  error: 'missing' | 'malformed' | null;
  /** Ends the sign-in and returns to the app, which gets `access_denied`. A link: managers click buttons by themselves. */
  cancelHref: string;
  /** The account chooser, if this browser knows accounts. */
  chooserHref: string | null;
  /** Where an account is made, if people may. */
  signUpHref: string | null;
}

export type PasswordError =
  /** Also for unknown, locked and disabled accounts. */
  | { reason: 'mismatch' }
  | { reason: 'missing' }
  | { reason: 'throttled'; retryAfterSeconds: number }
  /** The server has too many passwords to check right now; no attempt was counted. */
  | { reason: 'busy' };

export interface PasswordLocals extends Purpose {
  /** Posts `password`, and `username` for password managers: take the account from the sign-in's state, not from it. */
  form: Form;
  email: string;
  /** The person is signed in and has to prove it again, so there is nobody else to choose at first sight. */
  isConfirmation: boolean;
  /** What for, if that is known. */
  reason: ConfirmReason | null;
  error: PasswordError | null;
  /** The identifier page again. */
  changeHref: string;
  /** For a confirmation: the account chooser, or the identifier page. */
  otherHref: string;
  cancelHref: string;
  /** Where a forgotten password is reset, if there is such a place. */
  resetHref: string | null;
  /** Signing in by a code from the mail instead, if that is offered. */
  codeHref: string | null;
}

export interface KnownAccount {
  /** Posted back as `account`. */
  id: string;
  email: string;
  lastUsedAt: Date;
  signedIn: boolean;
}

export interface AccountsLocals extends Purpose {
  /** Posts `account`. */
  form: Form;
  /** Forgets an account on this browser; posts `account`. Not offered for who is signed in: they would stay so. */
  removeForm: Form;
  accounts: readonly KnownAccount[];
  /** The identifier page. */
  otherHref: string;
  cancelHref: string;
}

export interface ConsentLocals {
  app: {
    name: string;
    /** An address the page's policy lets images come from, such as a path of our own. */
    logoUrl: string | null;
    /** Host of the publisher's web site (`client_uri`), if registered. */
    publisherHost: string | null;
  };
  tenant: { name: string };
  account: { email: string };
  /** "Not you?": sign in as somebody else. */
  switchHref: string;
  /** Posts `decision`: `allow` or `cancel`. */
  form: Form;
  /** What is asked for. Scopes granted before are listed too, with `isNew: false`. */
  groups: readonly ConsentGroup[];
  /** Host of the redirect URI; for an app's own scheme, the scheme. */
  returnHost: string;
  /** Where consents are seen and taken back, if there is such a place. */
  manageHref: string | null;
}

export interface SignOutLocals {
  tenant: { name: string };
  /** Who is signed in, if known. */
  account: { email: string } | null;
  /** The app that asked. Staying signed in still signs out of it. */
  app: { name: string } | null;
  /** oidc-provider's own: `urlFor('end_session_confirm')`. Posts `xsrf`, and `logout=yes` to sign out. */
  action: string;
  xsrf: string;
  /** The app proved who is signed in (`id_token_hint`), so there is nothing to ask; the button is for want of JavaScript. */
  autoSubmit: boolean;
}

export interface SignedOutLocals {
  tenant: { name: string };
  /** Who is still signed in: they left only the app, or nothing. */
  account: { email: string } | null;
  /** The app to go back to; without a web address there is no link. */
  app: { name: string; url: string | null } | null;
  signInHref: string | null;
  /** Names of apps that did not answer the sign-out. */
  appsNotReached: readonly string[];
}

export type InteractionPages = ReturnType<typeof createInteractionPages>;

export function createInteractionPages({ views, now }: { views: Views; now: Clock }) {
  return {
    identifierPage: (language: PageWriter, locals: IdentifierLocals): string =>
      views.render('interactions/identifier', locals, language),

    passwordPage(language: PageWriter, locals: PasswordLocals): string {
      const { error } = locals;
      const wait = error?.reason === 'throttled' ? language.page().duration(error.retryAfterSeconds) : '';
      return views.render('interactions/password', { ...locals, wait }, language);
    },

    /** For `prompt=select_account`, and whenever several accounts could be meant. Skip it where none is known. */
    accountsPage(language: PageWriter, locals: AccountsLocals): string {
      const lastUsed = ({ lastUsedAt }: KnownAccount) => usedText(language.page(), lastUsedAt, now());
      const accounts = locals.accounts.map((account) => ({ ...account, lastUsed: lastUsed(account) }));
      return views.render('interactions/accounts', { ...locals, accounts }, language);
    },

    consentPage(language: PageWriter, locals: ConsentLocals): string {
      const groups = locals.groups.map((group) => describeGroup(group, language.page()));
      return views.render(
        'interactions/consent',
        { ...locals, groups, hasNew: isExtension(locals.groups) },
        language,
      );
    },

    signOutPage: (language: PageWriter, locals: SignOutLocals): string =>
      views.render('interactions/sign-out', locals, language),

    signedOutPage: (language: PageWriter, locals: SignedOutLocals): string =>
      views.render('interactions/signed-out', locals, language),
  };
}

/** Marking what is new helps only where something is not. */
function isExtension(groups: readonly ConsentGroup[]): boolean {
  const scopes = groups.flatMap((group) => group.scopes);
  return scopes.some((scope) => scope.isNew) && scopes.some((scope) => !scope.isNew);
}

function usedText({ t, timeAgo }: Translator, at: Date, now: Date): string {
  const isNow = now.getTime() - at.getTime() < 60_000;
  return isNow
    ? t('interactions.accounts.used_now')
    : t('interactions.accounts.used', { ago: timeAgo(at, now) });
}
