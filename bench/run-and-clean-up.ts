/** What a benchmark has set up and takes away again. */
export type Undo = (() => Promise<unknown>)[];

/**
 * Runs a benchmark and undoes what it has set up, the last first, at its end or when it is interrupted. Failures are
 * printed and make the process fail.
 */
export async function runAndCleanUp(undo: Undo, run: () => Promise<void>): Promise<void> {
  let cleaning: Promise<void> | undefined;

  async function cleanUp(): Promise<void> {
    for (const step of undo.toReversed()) await step().catch((err: unknown) => console.error(err));
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      cleaning ??= cleanUp();
      void cleaning.then(() => process.exit(130));
    });
  }
  try {
    await run();
  } catch (err) {
    // Of an interrupted run, the servers that were stopped are what fails.
    if (!cleaning) console.error(err);
    process.exitCode = 1;
  }
  cleaning ??= cleanUp();
  await cleaning;
}
