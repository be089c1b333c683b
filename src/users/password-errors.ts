import { defineErrors } from '../lib/errors.ts';
import type { AppError, FieldError } from '../lib/errors.ts';

export const passwordError = defineErrors('password', {
  busy: { status: 503, message: 'Too many sign-ins are under way. Try again in a moment.' },
  unacceptable: { status: 400, message: 'This password cannot be used; choose another one.' },
});

export type PasswordFault = Omit<FieldError, 'path'>;

/** @param faults one sentence each, saying what is wrong and what to do */
export function unacceptablePassword(faults: readonly PasswordFault[]): AppError {
  return passwordError('unacceptable', { errors: faults.map((fault) => ({ path: '/password', ...fault })) });
}
