import type { LoginState } from './login-state.ts';
import type { MailedScreen } from './mailed-state.ts';

/**
 * Which screen comes next. Steps say only whether an answer was good; this file alone knows the order, so
 * that no step can be skipped by asking for a later one.
 */
export type Screen =
  | 'accounts'
  | 'identifier'
  | 'password'
  | 'own_password'
  | 'profile'
  | 'consent'
  | MailedScreen;

export interface Situation {
  prompt: string;
  /** Whom the app named, as far as that may be told to this browser. */
  loginHint: string | undefined;
  /** The browser remembers people who signed in here. */
  knowsAccounts: boolean;
  /** The one it remembers, where it is one and nobody else is meant. */
  onlyKnownEmail: string | undefined;
  /** Whether people may make accounts here. */
  offersSignUp: boolean;
  /** Who is signed in, and has to prove it again. */
  sessionEmail: string | undefined;
  /** They have no password, so a mailed code is all they can prove it with. */
  provesByCode: boolean;
}

/**
 * Where the person begins. It depends on the request alone: whoever comes back here with the browser's
 * button sees what they saw before.
 */
export function firstScreen(situation: Situation): Exclude<Screen, 'own_password'> {
  if (situation.prompt === 'consent' || situation.prompt === 'profile') return situation.prompt;
  if (situation.prompt === 'create' && situation.offersSignUp) return 'sign_up';
  if (startingEmail({}, situation) !== undefined) return situation.provesByCode ? 'email_code' : 'password';
  return situation.knowsAccounts ? 'accounts' : 'identifier';
}

/** Where the person goes on after an answer. */
export function nextScreen(state: LoginState, situation: Situation): Screen {
  switch (state.step) {
    case 'password':
      return state.email === undefined ? 'identifier' : 'password';
    case 'accounts':
      return situation.knowsAccounts ? 'accounts' : 'identifier';
    case 'identifier':
      return 'identifier';
    case 'own_password':
      return state.temporary ? 'own_password' : firstScreen(situation);
    case 'forgot':
    case 'email_code':
    case 'sign_up':
    case 'code':
    case 'new_password':
    case 'sign_up_profile':
      return mayShow(state.step, state) ? state.step : firstScreen(situation);
    case undefined:
      return firstScreen(situation);
  }
}

/** Whether what must come before a screen has: nobody gets past a code by asking for what follows it. */
export function mayShow(screen: MailedScreen, { mailed }: Pick<LoginState, 'mailed'>): boolean {
  switch (screen) {
    case 'forgot':
    case 'email_code':
    case 'sign_up':
      return true;
    case 'code':
      return mailed !== undefined && !mailed.isProved;
    case 'new_password':
      return mailed?.purpose === 'password_reset' && mailed.isProved;
    case 'sign_up_profile':
      return mailed?.purpose === 'sign_up' && mailed.isProved;
  }
}

/**
 * Each screen has an address of its own, so that going back leads to the screen before. The first one is
 * shown at the interaction's own address as well; the consent and the profile only there.
 */
export function pathOf(screen: Screen, basePath: string): string {
  return screen === 'consent' || screen === 'profile'
    ? basePath
    : `${basePath}/${screen.replaceAll('_', '-')}`;
}

/**
 * Whose password is asked for: who was typed or chosen, else who is signed in, else whom the app named, else whom
 * the browser remembers, if there is nothing to choose.
 */
export function startingEmail(
  { email }: Pick<LoginState, 'email'>,
  { prompt, loginHint, sessionEmail, onlyKnownEmail }: Situation,
): string | undefined {
  return email ?? (prompt === 'login' ? (sessionEmail ?? loginHint ?? onlyKnownEmail) : undefined);
}

/** Whether the answer is only to prove again who is signed in already. */
export function isConfirmation(email: string, { prompt, sessionEmail }: Situation): boolean {
  return prompt === 'login' && email === sessionEmail;
}
