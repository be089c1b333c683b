/**
 * Work that is done on a schedule rather than on request. A job must be safe to run in several
 * processes at once: leases save work, correctness never depends on them.
 */
export interface Job {
  name: string;
  everySeconds: number;
  /** @param signal aborted at shutdown: end soon, at a point where nothing is left half-done */
  run(signal: AbortSignal): Promise<void>;
}
