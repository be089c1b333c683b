import { defineErrors } from '../lib/errors.ts';

export const userError = defineErrors('user', {
  not_found: { status: 404, message: 'There is no such user.' },
  email_taken: { status: 409, message: 'Another user already has this e-mail address.' },
  email_invalid: { status: 400, message: 'This e-mail address cannot be used.' },
  claims_invalid: { status: 400, message: 'The profile has a field that cannot be stored.' },
  invalid_transition: { status: 409, message: 'The user is in a state that does not allow this.' },
  preferences_too_large: { status: 400, message: 'There are too many custom preferences.' },
  invalid_cursor: { status: 400, message: 'The page marker is not one this list gave out.' },
});
