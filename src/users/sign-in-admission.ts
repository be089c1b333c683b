import { signIns } from '../lib/instruments.ts';
import { passwordError } from './password-errors.ts';
import { QueueFullError, createWorkQueue } from './work-queue.ts';

/**
 * Turns a crowd away at the door. A sign-in asks the database before its password is hashed; hundreds that
 * do so only to find the queue of the hasher full would take the connections of everybody else.
 */
export type SignInAdmission = <Result>(work: () => Promise<Result>) => Promise<Result>;

const RETRY_AFTER_SECONDS = 2;

/** @param most sign-ins under way at once: as many as the hasher and its queue take */
export function createSignInAdmission({ most }: { most: number }): SignInAdmission {
  const seats = createWorkQueue({ concurrency: most, maxQueue: 0 });

  /** @throws {AppError} `password.busy` (503) without having begun the work */
  return async (work) => {
    try {
      return await seats.run(work);
    } catch (err) {
      if (!(err instanceof QueueFullError)) throw err;
      signIns.record({ outcome: 'busy' });
      throw passwordError('busy', { cause: err, retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
  };
}
