import { signIns } from '../lib/instruments.ts';
import { passwordError } from './password-errors.ts';
import { QueueFullError, createWorkQueue } from './work-queue.ts';

/**
 * Turns a crowd away at the door. A sign-in asks the database before its password is hashed; hundreds that
 * do so only to find the queue of the hasher full would take the connections of everybody else, and those
 * that fit into it would all ask in the same moment. So some are at it, some wait without having asked for
 * a thing, and the rest hear at once when to come back.
 */
export type SignInAdmission = <Result>(work: () => Promise<Result>) => Promise<Result>;

export interface SignInAdmissionOptions {
  /** Sign-ins under way: enough to keep the hasher busy while others are with the database. */
  atOnce: number;
  mostWaiting: number;
  /** From 0 up to, not including, 1. */
  random?: () => number;
}

/** Not the same for everybody: a crowd that is told one time is a crowd again by then. */
const RETRY_AFTER_SECONDS = { from: 2, to: 5 };

export function createSignInAdmission({
  atOnce,
  mostWaiting,
  random = Math.random,
}: SignInAdmissionOptions): SignInAdmission {
  const seats = createWorkQueue({ concurrency: atOnce, maxQueue: mostWaiting });
  const { from, to } = RETRY_AFTER_SECONDS;

  /** @throws {AppError} `password.busy` (503) without having begun the work */
  return async (work) => {
    try {
      return await seats.run(work);
    } catch (err) {
      if (!(err instanceof QueueFullError)) throw err;
      signIns.record({ outcome: 'busy' });
      const retryAfterSeconds = from + Math.floor(random() * (to - from + 1));
      throw passwordError('busy', { cause: err, retryAfterSeconds });
    }
  };
}
