import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkHistory } from './history/check-history.ts';
import { explainViolation } from './history/explain.ts';
import { makePlan } from './history/plan.ts';
import { runPlan } from './history/run-plan.ts';
import { inForm, seed } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { unpackPreviousVersion } from './support/previous-version.ts';

const promises = { graceMs: 10_000 };
const OPERATIONS = inForm({ short: 500, long: 4_000 });

describe('two versions at the same time', function () {
  this.timeout(inForm({ short: 180_000, long: 900_000 }));
  let directory: string;
  let installation: Installation;
  before(async () => {
    directory = await mkdtemp(join(process.env['FAULTS_DIR'] ?? tmpdir(), 'upgrade-'));
    const program = unpackPreviousVersion(join(directory, 'previous'));
    // The schema is this version's before the first of its servers starts.
    installation = await startInstallation({
      env: { GATEHOUSE_REFRESH_GRACE_SECONDS: '10' },
      each: (index) => (index === 0 ? { program } : {}),
    });
  });
  after(async () => {
    await installation.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('serve everybody together and keep every promise of the model', async () => {
    const plan = makePlan({ seed, operations: OPERATIONS, faults: ['kill-server', 'kill-server'] });

    const { records } = await runPlan(installation, plan);

    const [violation] = checkHistory(records, promises);
    if (violation) assert.fail(await explainViolation(violation, records, promises, installation));
    const answers = records.filter(({ kind }) => kind === 'refresh');
    for (const server of [0, 1])
      assert.ok(answers.some((record) => record.server === server && record.outcome === 'ok'));
  });
});
