import { setTimeout as pauseFor } from 'node:timers/promises';

/** Ends before its time when the signal is aborted, which is no failure. */
export async function pause(
  milliseconds: number,
  signal: AbortSignal,
  { ref = true }: { ref?: boolean } = {},
): Promise<void> {
  await pauseFor(milliseconds, undefined, { signal, ref }).catch((err: unknown) => {
    if (!signal.aborted) throw err;
  });
}
