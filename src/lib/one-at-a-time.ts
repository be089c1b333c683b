/**
 * Keeps work from running beside itself. Whoever asks while it runs gets one more run, shared with all who
 * ask meanwhile: what they want to see may have come too late for the present one.
 */
export function oneAtATime<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  let queued: Promise<Result> | undefined;

  return () => {
    if (queued) return queued;
    const run = last.then(() => {
      queued = undefined;
      return work();
    });
    queued = run;
    last = run.catch(() => {});
    return run;
  };
}
