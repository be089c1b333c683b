/** A task that was not run: the queue was full, or its turn did not come in time. */
export class NoTurnError extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'NoTurnError';
  }
}

export interface WorkQueueOptions {
  concurrency: number;
  maxQueue: number;
  /** How long a task may wait for its turn; for as long as it takes where this is absent. */
  maxWaitMs?: number;
}

/**
 * Runs at most `concurrency` tasks at once, first come first served, and lets at most `maxQueue` wait: under a flood the
 * work and the memory stay bounded, and whoever comes too late hears so at once.
 */
export function createWorkQueue({ concurrency, maxQueue, maxWaitMs }: WorkQueueOptions) {
  if (concurrency < 1 || maxQueue < 0) throw new RangeError('a work queue needs a positive size');
  /** In the order of their coming, which is that of a set. */
  const waiting = new Set<() => void>();
  let running = 0;
  let rejected = 0;

  async function turn(): Promise<void> {
    if (running < concurrency) {
      running += 1;
      return;
    }
    if (waiting.size >= maxQueue) {
      rejected += 1;
      throw new NoTurnError('the queue is full');
    }
    // Whoever finishes hands over its place, so `running` stays as it is and nobody can slip in between.
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiting.add(resolve);
    const timer =
      maxWaitMs === undefined
        ? undefined
        : setTimeout(() => {
            // A place that was handed over in this very moment is taken.
            if (!waiting.delete(resolve)) return;
            rejected += 1;
            reject(new NoTurnError(`no turn within ${maxWaitMs} ms`));
          }, maxWaitMs);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  function leave(): void {
    const [next] = waiting;
    if (!next) {
      running -= 1;
      return;
    }
    waiting.delete(next);
    next();
  }

  return {
    /** @throws {NoTurnError} without having run the task */
    async run<Result>(task: () => Promise<Result>): Promise<Result> {
      await turn();
      try {
        return await task();
      } finally {
        leave();
      }
    },

    /** `rejected`: since the start. */
    stats: () => ({ running, queued: waiting.size, rejected }),
  };
}
