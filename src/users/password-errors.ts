import { defineErrors } from '../lib/errors.ts';
import type { AppError } from '../lib/errors.ts';

export const passwordError = defineErrors('password', {
  busy: { status: 503, message: 'Too many sign-ins are under way. Try again in a moment.' },
  unacceptable: { status: 400, message: 'This password cannot be used; choose another one.' },
});

/** @param faults one sentence each, saying what is wrong and what to do */
export function unacceptablePassword(faults: readonly string[]): AppError {
  return passwordError('unacceptable', {
    errors: faults.map((message) => ({ path: '/password', message })),
  });
}
