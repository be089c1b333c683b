import type { Installation } from '../support/installation.ts';
import { checkHistory } from './check-history.ts';
import type { Rule, Violation } from './check-history.ts';
import type { Promises } from './ends.ts';
import type { Plan } from './plan.ts';
import { printHistory, printViolation } from './print-history.ts';
import type { HistoryRecord } from './record.ts';
import { runPlan } from './run-plan.ts';
import { shrink, shrinkHistory } from './shrink.ts';

/** What is kept of an answer's reference in the servers' logs. */
const REFERENCE = /reference (\S+)/;

/** A broken promise for people: what it takes to see it, and what the servers said about it. */
export async function explainViolation(
  violation: Violation,
  records: readonly HistoryRecord[],
  promises: Promises,
  { servers }: Pick<Installation, 'servers'>,
): Promise<string> {
  const few = await shrinkHistory(records, violation, promises);
  const reference = REFERENCE.exec(violation.record.detail)?.[1];
  const logs = reference === undefined ? [] : servers.map((server) => server.logAbout(reference));
  return [printViolation(violation), printHistory(few), ...logs].join('\n');
}

/**
 * A smaller plan that breaks the same promise, found by carrying out smaller and smaller ones. What
 * depends on timing may not show every time, so what is left may still hold more than it needs.
 * @param runs how many plans are carried out at most
 */
export async function shrinkPlan(
  installation: Omit<Installation, 'close'>,
  plan: Plan,
  rule: Rule,
  promises: Promises,
  runs: number,
): Promise<Plan> {
  const operations = await shrink(
    plan.operations,
    async (some) => {
      const { records } = await runPlan(installation, { ...plan, operations: some });
      return checkHistory(records, promises).some((violation) => violation.rule === rule);
    },
    runs,
  );
  return { ...plan, operations };
}

export function printPlan({ seed, operations }: Plan): string {
  const lines = operations.map(
    ({ worker, kind, slot, server, count }) =>
      `client ${worker} → server ${server}: ${kind} in slot ${slot}${count > 2 ? ` × ${count}` : ''}`,
  );
  return `${operations.length} operations of seed ${seed}:\n${lines.join('\n')}`;
}
