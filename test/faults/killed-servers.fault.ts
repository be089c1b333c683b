import assert from 'node:assert/strict';
import { checkHistory } from './history/check-history.ts';
import { explainViolation } from './history/explain.ts';
import { makePlan } from './history/plan.ts';
import type { FaultKind } from './history/plan.ts';
import type { HistoryRecord } from './history/record.ts';
import { runPlan } from './history/run-plan.ts';
import { inForm, seed } from './support/form.ts';
import { halfDone, idleInTransaction } from './support/half-done.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';

const GRACE_SECONDS = 10;
const promises = { graceMs: GRACE_SECONDS * 1000 };
const TOKEN_CALLS = inForm({ short: 1_000, long: 10_000 });
const KILLS = inForm({ short: 4, long: 40 });
const TOKEN_MIX = { refresh: 60, renew: 15, 'race-refresh': 10, introspect: 10, 'revoke-refresh': 5 };

const IN_CLUSTERS = inForm({ short: 300, long: 4_000 });
const WORKER_KILLS: FaultKind[] = ['kill-worker', 'kill-server', 'kill-worker', 'kill-redis', 'kill-worker'];

interface Killing {
  what: string;
  env: Record<string, string>;
  tokenCalls: number;
  faults: FaultKind[];
}

const KILLINGS: Killing[] = [
  {
    what: 'servers that are killed',
    env: {},
    tokenCalls: TOKEN_CALLS,
    faults: Array.from({ length: KILLS }, () => 'kill-server'),
  },
  {
    what: 'servers of two workers each, of which one or all are killed',
    env: { GATEHOUSE_WORKERS: '2' },
    tokenCalls: IN_CLUSTERS,
    faults: inForm({ short: WORKER_KILLS, long: Array.from({ length: 8 }, () => WORKER_KILLS).flat() }),
  },
];

for (const { what, env, tokenCalls, faults } of KILLINGS) {
  describe(what, function () {
    this.timeout(inForm({ short: 180_000, long: 1_800_000 }));
    let installation: Installation;
    before(async () => {
      installation = await startInstallation({
        env: { GATEHOUSE_REFRESH_GRACE_SECONDS: String(GRACE_SECONDS), ...env },
      });
    });
    after(() => installation.close());

    it('lose nothing that was acknowledged and leave nothing half-done', async () => {
      const plan = makePlan({ seed, operations: tokenCalls, faults, mix: TOKEN_MIX });

      const { tenantId, records } = await runPlan(installation, plan);

      assert.ok(records.filter(isTokenCall).length >= tokenCalls);
      assert.equal(records.filter(({ kind }) => kind === 'fault').length, faults.length);
      assert.ok(
        records.some(({ outcome }) => outcome === 'unknown'),
        'no request met a kill',
      );
      const [violation] = checkHistory(records, promises);
      if (violation) assert.fail(await explainViolation(violation, records, promises, installation));
      assert.deepEqual(await halfDone(installation.db, tenantId), []);
      assert.deepEqual(await idleInTransaction(installation.db), []);
    });
  });
}

function isTokenCall({ kind }: HistoryRecord): boolean {
  return kind === 'refresh' || kind === 'exchange';
}
