import assert from 'node:assert/strict';
import { inForm, seed } from '../support/form.ts';
import { startInstallation } from '../support/installation.ts';
import type { Installation } from '../support/installation.ts';
import { checkHistory } from './check-history.ts';
import { explainViolation, printPlan, shrinkPlan } from './explain.ts';
import { makePlan } from './plan.ts';
import type { FaultKind } from './plan.ts';
import { runPlan } from './run-plan.ts';

/** 0 is strict: an answer that was lost is not given again, and whoever asks for it ends the family. */
const GRACES = [3, 0];
const OPERATIONS = inForm({ short: 700, long: 5_000 });
const HISTORIES = inForm({ short: 1, long: 4 });
const SHRINKING_RUNS = 15;

const EVERY_FAULT: FaultKind[] = [
  'kill-server',
  'cut-connections',
  'lose-replies',
  'lose-commits',
  'stall-database',
  'crash-database',
  'freeze-server',
  'flush-redis',
  'stall-redis',
  'kill-redis',
];
const FAULTS = inForm({ short: EVERY_FAULT, long: Array.from({ length: 6 }, () => EVERY_FAULT).flat() });

for (const graceSeconds of GRACES) {
  const promises = { graceMs: graceSeconds * 1000 };

  describe(`a history over two servers under faults, with ${graceSeconds} s of grace`, function () {
    this.timeout(inForm({ short: 180_000, long: 1_800_000 }));
    let installation: Installation;
    before(async () => {
      installation = await startInstallation({
        env: {
          GATEHOUSE_REFRESH_GRACE_SECONDS: String(graceSeconds),
          GATEHOUSE_ACCESS_TOKEN_TTL_SECONDS: '3600',
          GATEHOUSE_JWKS_MAX_AGE_SECONDS: '1',
        },
      });
    });
    after(() => installation.close());

    for (let number = 0; number < HISTORIES; number += 1) {
      it(`keeps every promise of the model, with seed ${seed + number}`, async () => {
        const plan = makePlan({ seed: seed + number, operations: OPERATIONS, faults: FAULTS });

        const { records } = await runPlan(installation, plan);

        const [violation, ...others] = checkHistory(records, promises);
        if (!violation) return;
        const explanation = await explainViolation(violation, records, promises, installation);
        const smaller = await shrinkPlan(installation, plan, violation.rule, promises, SHRINKING_RUNS);
        assert.fail(`${explanation}\n(and ${others.length} more)\n\nSeen again with ${printPlan(smaller)}`);
      });
    }
  });
}
