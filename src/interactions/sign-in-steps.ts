import { AppError } from '../lib/errors.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { parseEmail } from '../users/email-address.ts';
import type { PasswordSignIn } from '../users/password-sign-in.ts';
import type { User } from '../users/user.ts';
import type { LoginState } from './login-state.ts';

/**
 * One function a screen of signing in: it judges the answer and says how the state goes on. It never
 * decides what comes next.
 */

/** Of what is shown again: more than any address has. */
const MOST_TYPED = 320;

export type StepOutcome =
  | { kind: 'advance' | 'retry'; state: LoginState }
  | { kind: 'authenticated'; user: User; methods: string[] };

export function identifierStep(state: LoginState, { username }: { username: string }): StepOutcome {
  const typed = username.trim();
  const retry = (error: LoginState['error']): StepOutcome => ({
    kind: 'retry',
    state: { ...state, step: 'identifier', typed: typed.slice(0, MOST_TYPED).toWellFormed(), error },
  });
  if (typed === '') return retry({ reason: 'email_missing' });
  const email = parseEmail(typed);
  if (!email) return retry({ reason: 'email_malformed' });
  return accountStep(state, { email });
}

/** @param email of an account that was chosen, or typed */
export function accountStep(state: LoginState, { email }: { email: string }): StepOutcome {
  const { error: _error, typed: _typed, temporary: _temporary, ...rest } = state;
  return { kind: 'advance', state: { ...rest, step: 'password', email } };
}

/**
 * @param email whose password it is, as the state has it: never as the form says
 * @param isKnownBrowser whether the account was signed in to on this browser before
 */
export async function passwordStep(
  state: LoginState,
  { email, password, isKnownBrowser }: { email: string; password: string; isKnownBrowser: boolean },
  { actor, signIn, now }: { actor: Actor; signIn: PasswordSignIn; now: Clock },
): Promise<StepOutcome> {
  const retry = (error: LoginState['error']): StepOutcome => ({
    kind: 'retry',
    state: { ...state, step: 'password', email, error },
  });
  if (password === '') return retry({ reason: 'password_missing' });

  try {
    const outcome = await signIn.verify(actor, { email, password, isKnownBrowser });
    if (outcome.ok) {
      const { user, temporary: proof } = outcome;
      if (proof === undefined) return { kind: 'authenticated', user, methods: ['pwd'] };
      const { error: _error, mailedError: _mailedError, ...rest } = state;
      const temporary = { userId: user.id, proof, provedAt: now().getTime() };
      return { kind: 'advance', state: { ...rest, step: 'own_password', email, temporary } };
    }
    if (outcome.reason !== 'throttled') return retry({ reason: 'mismatch' });
    return retry({ reason: 'throttled', retryAfterSeconds: outcome.retryAfterSeconds });
  } catch (err) {
    if (err instanceof AppError && err.code === 'password.busy') return retry({ reason: 'busy' });
    throw err;
  }
}
