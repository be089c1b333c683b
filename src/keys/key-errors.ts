import { defineErrors } from '../lib/errors.ts';

export const fail = defineErrors('signing_key', {
  not_found: { status: 404, message: 'There is no such signing key.' },
  next_too_new: { status: 409, message: 'The next signing key was published too recently.' },
  missing: { status: 503, message: 'There are no signing keys yet.' },
  // What the operator has to do is in the cause, which the log shows and a visitor does not see.
  cannot_open: { status: 503, message: 'The signing keys cannot be opened.' },
});
