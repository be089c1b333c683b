import { AppError } from '../lib/errors.ts';
import type { Actor } from '../http/actor.ts';
import { parseEmail } from '../users/email-address.ts';
import type { PasswordSignIn } from '../users/password-sign-in.ts';
import type { User } from '../users/user.ts';
import type { LoginState } from './login-state.ts';

/**
 * One function a screen of signing in: it judges the answer and says how the state goes on. It never
 * decides what comes next.
 */
export type StepOutcome =
  | { kind: 'advance' | 'retry'; state: LoginState }
  | { kind: 'authenticated'; user: User; methods: string[] };

export function identifierStep(state: LoginState, { username }: { username: string }): StepOutcome {
  const typed = username.trim();
  const { error: _error, ...rest } = state;
  if (typed === '')
    return { kind: 'retry', state: { ...rest, step: 'identifier', error: { reason: 'email_missing' } } };
  const email = parseEmail(typed);
  if (!email) {
    return {
      kind: 'retry',
      state: {
        ...rest,
        step: 'identifier',
        email: typed.slice(0, 254),
        error: { reason: 'email_malformed' },
      },
    };
  }
  return { kind: 'advance', state: { ...rest, step: 'password', email } };
}

/** @param email whose password it is, as the state has it: never as the form says */
export async function passwordStep(
  state: LoginState,
  { email, password }: { email: string; password: string },
  { actor, signIn }: { actor: Actor; signIn: PasswordSignIn },
): Promise<StepOutcome> {
  const retry = (error: LoginState['error']): StepOutcome => ({
    kind: 'retry',
    state: { ...state, step: 'password', email, error },
  });
  if (password === '') return retry({ reason: 'password_missing' });

  try {
    const outcome = await signIn.verify(actor, { email, password });
    return outcome.ok
      ? { kind: 'authenticated', user: outcome.user, methods: ['pwd'] }
      : retry({ reason: 'mismatch' });
  } catch (err) {
    if (err instanceof AppError && err.code === 'password.busy') return retry({ reason: 'busy' });
    throw err;
  }
}
