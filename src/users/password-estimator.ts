import { Worker } from 'node:worker_threads';

/**
 * Counts the guesses that a password withstands, as zxcvbn does. Its dictionaries take 30 MB and passwords are
 * seldom chosen, so they are with a thread that ends when nobody has asked for a while.
 */
export interface PasswordEstimator {
  /** @returns for each text the power of ten. @throws when the thread fails */
  guessesLog10(texts: readonly string[]): Promise<number[]>;
  isLoaded(): boolean;
}

export interface Question {
  id: number;
  texts: readonly string[];
}

export interface Estimate {
  id: number;
  guessesLog10: number[];
}

const THREAD = new URL('./password-estimator-thread.ts', import.meta.url);
const IDLE_MS = 60_000;

export function createPasswordEstimator({ idleMs = IDLE_MS } = {}): PasswordEstimator {
  const waiting = new Map<number, PromiseWithResolvers<number[]>>();
  let thread: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let last = 0;

  function start(): Worker {
    const started = new Worker(THREAD);
    started.on('message', ({ id, guessesLog10 }: Estimate) => {
      waiting.get(id)?.resolve(guessesLog10);
      waiting.delete(id);
      if (waiting.size > 0) return;
      // It keeps no process alive that has nothing else to do.
      started.unref();
      idle = setTimeout(end, idleMs).unref();
    });
    started.on('error', (err) => fail(started, err));
    started.on('exit', () => fail(started, new Error('the thread that estimates passwords has ended')));
    return started;
  }

  function end(): void {
    const ending = thread;
    thread = undefined;
    void ending?.terminate();
  }

  function fail(failed: Worker, err: unknown): void {
    if (thread !== failed) return;
    thread = undefined;
    for (const { reject } of waiting.values()) reject(err);
    waiting.clear();
  }

  return {
    guessesLog10(texts) {
      clearTimeout(idle);
      thread ??= start();
      const question: Question = { id: (last += 1), texts };
      const answer = Promise.withResolvers<number[]>();
      waiting.set(question.id, answer);
      thread.ref();
      thread.postMessage(question);
      return answer.promise;
    },
    isLoaded: () => thread !== undefined,
  };
}
