import { defineErrors } from '../lib/errors.ts';
import type { AppError } from '../lib/errors.ts';

export const passwordError = defineErrors('password', {
  busy: { status: 503, message: 'Too many sign-ins are under way. Try again in a moment.' },
  unacceptable: { status: 400, message: 'This password cannot be used; choose another one.' },
  not_temporary: {
    status: 410,
    message: 'The password was changed meanwhile, or this took too long. Sign in again.',
  },
  hash_foreign_pepper: {
    status: 400,
    message: 'This password hash needs a pepper that is not in GATEHOUSE_PEPPERS.',
  },
  hash_damaged: { status: 400, message: 'This password hash is damaged.' },
});

/** What is wrong with a password. */
export type PasswordFault =
  | { code: 'password.too_short'; values: { min: number; length: number } }
  | { code: 'password.too_long'; values: { max: number } }
  | {
      code: `password.${'not_typeable' | 'repetitive' | 'sequence' | 'predictable' | 'common' | 'blocked' | 'breached' | 'unchanged'}`;
    };

/** In English, for the API and the command line: what is wrong and what to do. */
function messageOf(fault: PasswordFault): string {
  switch (fault.code) {
    case 'password.too_short':
      return `Use at least ${fault.values.min} characters; this has ${fault.values.length}.`;
    case 'password.too_long':
      return `Use at most ${fault.values.max} characters.`;
    case 'password.not_typeable':
      return 'Use only characters that a keyboard can type.';
    case 'password.repetitive':
      return 'It repeats the same few characters; add different ones.';
    case 'password.sequence':
      return 'It is a sequence of neighbouring characters; use unrelated ones.';
    case 'password.predictable':
      return 'It is made from your name, your e-mail address or the name of this service; use other words.';
    case 'password.common':
      return 'It is made from words and patterns that are guessed first; use a few unrelated words.';
    case 'password.blocked':
      return 'It is on the list of passwords that may not be used here; choose another one.';
    case 'password.unchanged':
      return 'It is the one you were given; choose another one.';
    case 'password.breached':
      return 'It was in a data breach of some other site, so it is guessed first; choose another one.';
  }
}

export function unacceptablePassword(faults: readonly PasswordFault[]): AppError {
  return passwordError('unacceptable', {
    errors: faults.map((fault) => ({ path: '/password', message: messageOf(fault), ...fault })),
  });
}
