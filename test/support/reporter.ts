import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

/** What a mocha run counted, for test/run.ts. */
export interface TestCounts {
  passed: number;
  failed: number;
}

/** Mocha's own list of names, plus the counts in the file named by the option `output`. */
export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const output: unknown = options.reporterOptions?.output;
    runner.once('end', () => {
      const counts: TestCounts = { passed: this.stats.passes, failed: this.stats.failures };
      if (typeof output === 'string') writeFileSync(output, JSON.stringify(counts));
    });
  }
}
