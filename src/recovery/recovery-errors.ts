import { defineErrors } from '../lib/errors.ts';

export const recoveryError = defineErrors('recovery', {
  not_proved: {
    status: 410,
    message: 'This code or link was used already, or it has expired. Ask for a new one.',
  },
});
