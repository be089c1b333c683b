import type { Logger } from '../lib/logger.ts';
import type { Job } from './job.ts';
import { pause } from './pause.ts';

/** A share of the interval, up or down, so that replicas started together drift apart. */
const JITTER = 0.1;
const LONGEST_FIRST_WAIT_SECONDS = 10;

/**
 * Runs each job again and again in this process, a job never beside itself. A failed run is logged
 * and the next one comes at its time.
 *
 * @param random from 0 up to 1, for the jitter
 */
export function createScheduler({
  jobs,
  log,
  random = Math.random,
}: {
  jobs: readonly Job[];
  log: Logger;
  random?: () => number;
}) {
  const stopping = new AbortController();
  const { signal } = stopping;
  let loops: Promise<void>[] = [];

  async function loop(job: Job): Promise<void> {
    await wait(Math.min(job.everySeconds, LONGEST_FIRST_WAIT_SECONDS) * random());
    while (!signal.aborted) {
      try {
        await job.run(signal);
      } catch (err) {
        log.error({ err, job: job.name }, 'job failed');
      }
      await wait(job.everySeconds * (1 + JITTER * (2 * random() - 1)));
    }
  }

  async function wait(seconds: number): Promise<void> {
    // Not referenced: what is due later must not keep a process alive that has nothing else to do.
    await pause(seconds * 1000, signal, { ref: false });
  }

  return {
    /** The first runs come within seconds, spread at random. Once for the life of a scheduler. */
    start(): void {
      if (loops.length > 0 || signal.aborted) throw new Error('the scheduler was started before');
      loops = jobs.map(loop);
    },

    /** Nothing new begins; resolves when what is running has ended. */
    async stop(): Promise<void> {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}
