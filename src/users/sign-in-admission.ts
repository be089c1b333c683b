import { beginWait } from '../db/wait-budget.ts';
import { signInWaits, signIns } from '../lib/instruments.ts';
import { passwordError } from './password-errors.ts';
import { NoTurnError, createWorkQueue } from './work-queue.ts';

/**
 * Turns a crowd away at the door. A sign-in asks the database before its password is hashed; hundreds that
 * do so only to find the queue of the hasher full would take the connections of everybody else, and those
 * that fit into it would all ask in the same moment. So some are at it, some wait without having asked for
 * a thing, and the rest hear at once when to come back. While the database stands still nobody gets on, and
 * those who wait are told so after a moment as well.
 */
export type SignInAdmission = <Result>(work: () => Promise<Result>) => Promise<Result>;

export interface SignInSeats {
  taken: number;
  waiting: number;
  /** Since the start. */
  turnedAway: number;
}

export interface SignInAdmissionOptions {
  /** Sign-ins under way: enough to keep the hasher busy while others are with the database. */
  atOnce: number;
  mostWaiting: number;
  longestWaitMs?: number;
  /** From 0 up to, not including, 1. */
  random?: () => number;
}

/** As long as a full queue takes to empty where all is well, and little of what a request may wait in all. */
const LONGEST_WAIT_MS = 1_000;

/** Not the same for everybody: a crowd that is told one time is a crowd again by then. */
const RETRY_AFTER_SECONDS = { from: 2, to: 5 };

export function createSignInAdmission({
  atOnce,
  mostWaiting,
  longestWaitMs = LONGEST_WAIT_MS,
  random = Math.random,
}: SignInAdmissionOptions): SignInAdmission & { seats: () => SignInSeats } {
  const queue = createWorkQueue({ concurrency: atOnce, maxQueue: mostWaiting, maxWaitMs: longestWaitMs });
  const { from, to } = RETRY_AFTER_SECONDS;

  /** @throws {AppError} `password.busy` (503) without having begun the work */
  const admit: SignInAdmission = async (work) => {
    const cameAt = performance.now();
    // What is waited here is taken off what the request may wait for the database.
    const admitted = beginWait();
    try {
      return await queue.run(() => {
        admitted();
        signInWaits.record({ seconds: (performance.now() - cameAt) / 1000 });
        return work();
      });
    } catch (err) {
      admitted();
      if (!(err instanceof NoTurnError)) throw err;
      signIns.record({ outcome: 'busy' });
      const retryAfterSeconds = from + Math.floor(random() * (to - from + 1));
      throw passwordError('busy', { cause: err, retryAfterSeconds });
    }
  };

  return Object.assign(admit, {
    seats(): SignInSeats {
      const { running, queued, rejected } = queue.stats();
      return { taken: running, waiting: queued, turnedAway: rejected };
    },
  });
}
