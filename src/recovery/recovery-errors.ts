import { AppError, defineErrors } from '../lib/errors.ts';

export const recoveryError = defineErrors('recovery', {
  not_proved: {
    status: 410,
    message: 'This code or link was used already, or it has expired. Ask for a new one.',
  },
});

/**
 * Of an account that was deleted since the mail was sent, no proof is worth anything.
 * @throws {AppError} what the work throws; `recovery.not_proved` instead of `user.not_found`
 */
export async function whileUserExists<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (err) {
    if (err instanceof AppError && err.code === 'user.not_found')
      throw recoveryError('not_proved', { cause: err });
    throw err;
  }
}
