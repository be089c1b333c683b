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
  for (const cleanup of when === 'test' ? afterEachTest : afterFile) await cleanup();
}
