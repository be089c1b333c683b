import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

/** What a mocha run came to, for those who start it. */
export interface TestCounts {
  passed: number;
  failed: number;
  /** Of what failed, the name and the error. */
  failures: string[];
}

/** Mocha's own list of names, plus the counts in the file named by the option `output`. */
export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const output: unknown = options.reporterOptions?.output;
    const failures: string[] = [];
    runner.on('fail', (test: Mocha.Test, err: Error) => {
      failures.push(`${test.fullTitle()}\n${err.stack ?? err.message}`);
    });
    runner.once('end', () => {
      const counts: TestCounts = { passed: this.stats.passes, failed: this.stats.failures, failures };
      if (typeof output === 'string') writeFileSync(output, JSON.stringify(counts));
    });
  }
}

/** What failed once more, at the end of a long log, where whoever reads only that finds it. */
export function printFailures(failures: readonly string[]): void {
  if (failures.length === 0) return;
  console.log('Failed:');
  for (const failure of failures) console.log(`\n${failure}`);
  console.log();
}
