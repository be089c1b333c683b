/**
 * Keeps work from running beside itself. Whoever asks while it runs gets one more run, shared with all who
 * ask meanwhile: what they want to see may have come too late for the present one.
 */
export function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let last = Promise.resolve();
  let queued: Promise<void> | undefined;

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
