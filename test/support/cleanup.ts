/**
 * What is done after each test, and after the last one of a file. A worker of mocha runs several files but
 * loads a module once, so hooks that a shared module registers by itself hold for the first file only.
 */
const afterEachTest: Cleanup[] = [];
const afterFile: Cleanup[] = [];

type Cleanup = () => void | Promise<void>;

export function cleanUpAfterEachTest(cleanup: Cleanup): void {
  afterEachTest.push(cleanup);
}

export function cleanUpAfterFile(cleanup: Cleanup): void {
  afterFile.push(cleanup);
}

/** For the root hooks. */
export async function cleanUp(when: 'test' | 'file'): Promise<void> {
  const errors: unknown[] = [];
  for (const cleanup of when === 'test' ? afterEachTest : afterFile) {
    try {
      await cleanup();
    } catch (err) {
      // What one of them finds wrong keeps nobody else from cleaning up.
      errors.push(err);
    }
  }
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors);
}
