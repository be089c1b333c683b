/** A task that found the queue full. */
export class QueueFullError extends Error {
  constructor() {
    super('the queue is full');
    this.name = 'QueueFullError';
  }
}

/**
 * Runs at most `concurrency` tasks at once, first come first served, and lets at most `maxQueue` wait: under a flood the
 * work and the memory stay bounded, and whoever comes too late hears so at once.
 */
export function createWorkQueue({ concurrency, maxQueue }: { concurrency: number; maxQueue: number }) {
  if (concurrency < 1 || maxQueue < 0) throw new RangeError('a work queue needs a positive size');
  const waiting: (() => void)[] = [];
  let running = 0;
  let rejected = 0;

  async function turn(): Promise<void> {
    if (running < concurrency) {
      running += 1;
      return;
    }
    if (waiting.length >= maxQueue) {
      rejected += 1;
      throw new QueueFullError();
    }
    // Whoever finishes hands over its place, so `running` stays as it is and nobody can slip in between.
    await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function leave(): void {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }

  return {
    /** @throws {QueueFullError} without having run the task */
    async run<Result>(task: () => Promise<Result>): Promise<Result> {
      await turn();
      try {
        return await task();
      } finally {
        leave();
      }
    },

    /** `rejected`: since the start. */
    stats: () => ({ running, queued: waiting.length, rejected }),
  };
}
