import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { checkHistory } from './history/check-history.ts';
import { explainViolation } from './history/explain.ts';
import { makePlan } from './history/plan.ts';
import { runPlan } from './history/run-plan.ts';
import { createWorld } from './history/world.ts';
import { tally } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import { inForm, seed } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { requestsOf } from './support/requests.ts';
import { isReady } from './support/server-process.ts';

const promises = { graceMs: 10_000 };
const OPERATIONS = inForm({ short: 200, long: 2_000 });
const PRELOAD = fileURLToPath(new URL('./support/skewed-clock.ts', import.meta.url));
const SKEWED = 1;

describe('a server whose clock is wrong', function () {
  this.timeout(inForm({ short: 180_000, long: 600_000 }));
  let directory: string;
  let clockFile: string;
  let installation: Installation;
  before(async () => {
    directory = await mkdtemp(join(process.env['FAULTS_DIR'] ?? tmpdir(), 'clock-'));
    clockFile = join(directory, 'skew');
    writeFileSync(clockFile, '0');
    installation = await startInstallation({
      env: { GATEHOUSE_REFRESH_GRACE_SECONDS: '10' },
      each: (index) =>
        index === SKEWED ? { nodeArgs: ['--import', PRELOAD], env: { FAULTS_CLOCK_FILE: clockFile } } : {},
    });
  });
  after(async () => {
    await installation.close();
    await rm(directory, { recursive: true, force: true });
  });

  const url = () => installation.servers[SKEWED]?.url ?? '';

  /** Returns when the server's readiness has seen it. */
  async function skewBy(seconds: number, becomesReady: boolean): Promise<void> {
    writeFileSync(clockFile, String(seconds * 1000));
    while ((await isReady(url())) !== becomesReady) await delay(20);
  }

  for (const seconds of [-300, 300]) {
    it(`says that it is not ready at ${seconds} s, uses up nothing it would refuse, and is ready again afterwards`, async () => {
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

      await skewBy(seconds, false);
      const right = await sendTo(0);
      const wrong = await sendTo(SKEWED);
      await skewBy(0, true);

      // The balancer does not ask who is not ready; somebody who does anyway gets the same successor.
      assert.deepEqual(tally([...right, ...wrong]), ['refresh: 200']);
      assert.deepEqual(wrong.map(successor), right.map(successor));
    });
  }

  for (const seconds of [-20, 20]) {
    it(`serves with the others and keeps every promise of the model at ${seconds} s`, async () => {
      writeFileSync(clockFile, String(seconds * 1000));
      await delay(200);
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
