import type { Installation } from '../support/installation.ts';
import { isReady } from '../support/server-process.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { createExecutor } from './executor.ts';
import { createNemesis } from './nemesis.ts';
import type { Plan } from './plan.ts';
import { startPulse } from './pulse.ts';
import { createRecorder } from './record.ts';
import type { HistoryRecord } from './record.ts';
import { watchedBalancer } from './watched-balancer.ts';
import { createWorld } from './world.ts';

const POLL_MS = 20;

/** What happened, and the tenant in which it did. */
export interface Run {
  tenantId: string;
  records: HistoryRecord[];
}

/** Carries a plan out against an installation, in a tenant of its own. */
export async function runPlan(
  installation: Omit<Installation, 'close'>,
  { shape, operations, faults }: Plan,
): Promise<Run> {
  const recorder = createRecorder();
  const balancer = watchedBalancer(installation.balancer, recorder);
  const world = await createWorld({ ...installation, balancer }, shape);
  const endPulse = startPulse(installation.servers, recorder);
  const executor = createExecutor(world, recorder, shape);
  const nemesis = createNemesis(installation, recorder, faults);
  let done = 0;

  await Promise.all(
    Array.from({ length: shape.workers }, async (_, worker) => {
      for (const operation of operations) {
        if (operation.worker !== worker) continue;
        await executor.run(operation);
        done += 1;
        nemesis.progress(done);
      }
    }),
  );
  await nemesis.settle();
  await allReady(installation);
  await executor.audit();
  await endPulse();
  return { tenantId: world.tenant.tenant.id, records: recorder.records };
}

async function allReady({ servers }: Pick<Installation, 'servers'>): Promise<void> {
  for (const { url } of servers) while (!(await isReady(url))) await delay(POLL_MS);
}
