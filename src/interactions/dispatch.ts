import type { LoginState } from './login-state.ts';

/**
 * Which screen comes next. Steps say only whether an answer was good; this file alone knows the order, so
 * that no step can be skipped by asking for a later one.
 */
export type Screen = 'accounts' | 'identifier' | 'password' | 'consent';

export interface Situation {
  prompt: string;
  loginHint: string | undefined;
  /** The browser remembers people who signed in here. */
  knowsAccounts: boolean;
  /** Somebody is signed in, and has to prove it again. */
  sessionEmail: string | undefined;
}

export function nextScreen(state: LoginState, situation: Situation): Screen {
  if (situation.prompt === 'consent') return 'consent';
  if (state.step === 'password') return state.email === undefined ? 'identifier' : 'password';
  if (state.step !== undefined)
    return state.step === 'accounts' && !situation.knowsAccounts ? 'identifier' : state.step;
  if (situation.prompt === 'select_account') return situation.knowsAccounts ? 'accounts' : 'identifier';
  if (startingEmail(state, situation) !== undefined) return 'password';
  return situation.knowsAccounts ? 'accounts' : 'identifier';
}

/** Whose password is asked for: who was typed or chosen, else who is signed in, else whom the app named. */
export function startingEmail(
  state: LoginState,
  { prompt, loginHint, sessionEmail }: Situation,
): string | undefined {
  if (state.email !== undefined || state.step !== undefined) return state.email;
  if (prompt === 'select_account') return undefined;
  return sessionEmail ?? loginHint;
}
