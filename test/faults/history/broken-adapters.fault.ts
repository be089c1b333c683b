import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { inForm, seed } from '../support/form.ts';
import { startInstallation } from '../support/installation.ts';
import type { Installation } from '../support/installation.ts';
import { BROKEN_ADAPTERS } from './broken-adapters.ts';
import type { BrokenAdapter, BrokenAdapterName } from './broken-adapters.ts';
import { checkHistory } from './check-history.ts';
import type { Violation } from './check-history.ts';
import { explainViolation, printPlan, shrinkPlan } from './explain.ts';
import { makePlan } from './plan.ts';
import { runPlan } from './run-plan.ts';

const GRACE_SECONDS = 3;
const promises = { graceMs: GRACE_SECONDS * 1000 };
const STRICT = { graceMs: 0 };
const OPERATIONS = 120;
const OPERATIONS_OF_THE_REAL_ONE = inForm({ short: 60, long: 120 });
/** A flaw that depends on timing may hide for a while. */
const MOST_HISTORIES = 20;
const PRELOAD = fileURLToPath(new URL('./broken-server.ts', import.meta.url));

/** The same generator, model and faults as for the real adapter: only the servers are broken. */
describe('the history checker', function () {
  this.timeout(180_000);

  const start = (name?: BrokenAdapterName, { isStrict = false }: Pick<BrokenAdapter, 'isStrict'> = {}) =>
    startInstallation({
      env: {
        GATEHOUSE_REFRESH_GRACE_SECONDS: isStrict ? '0' : String(GRACE_SECONDS),
        GATEHOUSE_ACCESS_TOKEN_TTL_SECONDS: '3600',
        ...(name && { FAULTS_BROKEN_ADAPTER: name }),
      },
      each: () => (name ? { nodeArgs: ['--import', PRELOAD] } : {}),
    });

  it('finds nothing wrong with the real one in what shows the flaws of the others', async () => {
    const installation = await start();
    try {
      for (const mix of new Set(
        Object.values<BrokenAdapter>(BROKEN_ADAPTERS).map((adapter) => adapter.mix),
      )) {
        const { records } = await runPlan(
          installation,
          makePlan({ seed, operations: OPERATIONS_OF_THE_REAL_ONE, mix }),
        );

        const [violation] = checkHistory(records, promises);
        if (violation) assert.fail(await explainViolation(violation, records, promises, installation));
      }
    } finally {
      await installation.close();
    }
  });

  it('leaves little of a run that fails', async () => {
    const installation = await start('forgets-used-tokens');
    try {
      const plan = makePlan({ seed, operations: 60, mix: { refresh: 5, introspect: 3, 'replay-code': 1 } });

      const smaller = await shrinkPlan(installation, plan, 'what ended stays ended', promises, 60);

      assert.deepEqual(
        smaller.operations.map(({ kind }) => kind),
        ['replay-code'],
        printPlan(smaller),
      );
    } finally {
      await installation.close();
    }
  });

  for (const [name, adapter] of Object.entries<BrokenAdapter>(BROKEN_ADAPTERS)) {
    it(`finds an adapter that ${adapter.flaw}`, async () => {
      const installation = await start(name as BrokenAdapterName, adapter);
      try {
        await apply(installation, adapter);

        const found = await search(installation, adapter);

        assert.ok(found, 'nothing was found');
        assert.match(found.explanation, /Broken: /);
      } finally {
        await installation.close();
      }
    });
  }
});

async function apply({ db, proxy }: Installation, { setting }: BrokenAdapter): Promise<void> {
  if (setting === undefined) return;
  await db.raw(`ALTER ROLE CURRENT_USER SET ${setting}`);
  // New sessions have it.
  proxy.cut();
}

async function search(
  installation: Installation,
  { mix, faults = [], breaks, isStrict }: BrokenAdapter,
): Promise<{ violation: Violation; explanation: string } | undefined> {
  const promised = isStrict ? STRICT : promises;
  for (let number = 0; number < MOST_HISTORIES; number += 1) {
    const plan = makePlan({ seed: seed + number, operations: OPERATIONS, mix, faults });
    const { records } = await runPlan(installation, plan);
    const violation = checkHistory(records, promised).find(({ rule }) => breaks.includes(rule));
    if (!violation) continue;
    const explanation = await explainViolation(violation, records, promised, installation);
    return { violation, explanation };
  }
  return undefined;
}
