import assert from 'node:assert/strict';
import { checkHistory } from './history/check-history.ts';
import { explainViolation } from './history/explain.ts';
import { makePlan } from './history/plan.ts';
import { runPlan } from './history/run-plan.ts';
import { createWorld } from './history/world.ts';
import { tally } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import { inForm, seed } from './support/form.ts';
import { requestsOf } from './support/requests.ts';
import { RIGHT, SKEWED, startSkewedInstallation } from './support/skewed-installation.ts';
import type { SkewedInstallation } from './support/skewed-installation.ts';

const promises = { graceMs: 10_000 };
const OPERATIONS = inForm({ short: 200, long: 2_000 });

describe('a server whose clock is wrong', function () {
  this.timeout(inForm({ short: 180_000, long: 600_000 }));
  let skewed: SkewedInstallation;
  before(async () => {
    skewed = await startSkewedInstallation({ GATEHOUSE_REFRESH_GRACE_SECONDS: '10' });
  });
  after(() => skewed.close());

  for (const seconds of [-300, 300]) {
    it(`says that it is not ready at ${seconds} s, uses up nothing it would refuse, and is ready again afterwards`, async () => {
      const { installation } = skewed;
      const world = await createWorld(installation, { users: 4, apps: 2 });
      const held = await holdFamilies(world, 4);
      const refreshes = held.flatMap((family) => requestsOf(world, family)).filter(isRefresh);
      const sendTo = async (server: number) =>
        Promise.all(
          refreshes.map(async ({ what, ...request }) => ({
            what,
            outcome: await installation.balancer.send(request, server),
          })),
        );

      await skewed.skewUntil(seconds, 'not ready');
      const right = await sendTo(RIGHT);
      const wrong = await sendTo(SKEWED);
      await skewed.skewUntil(0, 'ready');

      // The balancer does not ask who is not ready; somebody who does anyway gets the same successor.
      assert.deepEqual(tally([...right, ...wrong]), ['refresh: 200']);
      assert.deepEqual(wrong.map(successor), right.map(successor));
    });
  }

  for (const seconds of [-20, 20]) {
    it(`serves with the others and keeps every promise of the model at ${seconds} s`, async () => {
      const { installation } = skewed;
      await skewed.skew(seconds);
      const plan = makePlan({ seed, operations: OPERATIONS });

      const { records } = await runPlan(installation, plan);

      const [violation] = checkHistory(records, promises);
      if (violation) assert.fail(await explainViolation(violation, records, promises, installation));
    });
  }
});

function isRefresh({ what }: { what: string }): boolean {
  return what === 'refresh';
}

function successor({ outcome }: { outcome: { kind: string; body?: string } }): unknown {
  return JSON.parse(outcome.body ?? '{}').refresh_token;
}
