import assert from 'node:assert/strict';
import { checkHistory } from './history/check-history.ts';
import { explainViolation } from './history/explain.ts';
import { makePlan } from './history/plan.ts';
import type { FaultKind } from './history/plan.ts';
import type { HistoryRecord } from './history/record.ts';
import { runPlan } from './history/run-plan.ts';
import { slowerThan, withoutRetryAfter } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { inForm, seed } from './support/form.ts';
import { halfDone } from './support/half-done.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { LONGEST_ANSWER_MS } from './support/outage.ts';

const promises = { graceMs: 10_000 };
const RESTARTS = inForm({ short: 2, long: 10 });
const OPERATIONS = inForm({ short: 600, long: 4_000 });
const LONGEST_RECOVERY_MS = 5_000;
const MIX = {
  refresh: 50,
  renew: 15,
  introspect: 10,
  use: 5,
  'revoke-refresh': 5,
  'revoke-access': 3,
  'use-ended': 10,
  logout: 1,
  disable: 0.3,
};

describe('a database that crashes and starts again', function () {
  this.timeout(inForm({ short: 180_000, long: 1_800_000 }));
  let installation: Installation;
  before(async () => {
    installation = await startInstallation({ env: { GATEHOUSE_REFRESH_GRACE_SECONDS: '10' } });
  });
  after(() => installation.close());

  it('keeps every grant, rotation and revocation that was acknowledged, answers within 3 s, and is back within 5 s', async () => {
    const faults = Array.from({ length: RESTARTS }, (): FaultKind => 'crash-database');
    const plan = makePlan({ seed, operations: OPERATIONS, faults, mix: MIX });

    const answers: Answer[] = [];
    installation.balancer.watch((answer) => answers.push(answer));

    const { tenantId, records } = await runPlan(installation, plan);

    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
    assert.deepEqual(withoutRetryAfter(answers), []);
    assert.ok(
      answers.some(({ outcome }) => outcome.kind === 'answered' && outcome.status === 503),
      'nobody noticed',
    );
    const restarts = records.filter(({ kind }) => kind === 'fault');
    assert.equal(restarts.length, RESTARTS);
    const [violation] = checkHistory(records, promises);
    if (violation) assert.fail(await explainViolation(violation, records, promises, installation));
    assert.deepEqual(await halfDone(installation.db, tenantId), []);
    for (const restart of restarts) {
      const recovered = recoveryMs(records, restart);
      assert.ok(recovered <= LONGEST_RECOVERY_MS, `recovered after ${Math.round(recovered)} ms`);
    }
  });
});

/** From the moment the database takes connections to the first tokens that a client gets. */
function recoveryMs(records: readonly HistoryRecord[], restart: HistoryRecord): number {
  const answers = records
    .filter(({ kind, outcome }) => outcome === 'ok' && (kind === 'refresh' || kind === 'exchange'))
    .map(({ respondedAt }) => respondedAt)
    .filter((respondedAt) => respondedAt > restart.respondedAt);
  return Math.min(...answers) - restart.respondedAt;
}
