import { withinWaitBudget } from '../../db/wait-budget.ts';
import { gateWaits } from '../../lib/instruments.ts';
import { StoreUnavailable } from './store-errors.ts';
import type { UnitOfWork } from './unit-of-work.ts';

/**
 * One request per token at a time within a process. The final statement alone would be correct, but then
 * hundreds of replays of one code would all be signed and written up to it, and everybody else would wait
 * behind them.
 */
const MOST_WAITING = 200;

interface Gate {
  tail: Promise<void>;
  waiting: number;
}

const gates = new Map<string, Gate>();

/**
 * Waits for the turn and keeps it until the unit of work ends. Whoever is ahead waits for the database, so
 * the wait counts as one; who gives up lets those behind come when all ahead are through.
 * @throws {StoreUnavailable} when too many wait already
 * @throws {WaitBudgetSpent}
 */
export async function holdGate(unit: UnitOfWork, key: string): Promise<void> {
  const gate = gates.get(key) ?? { tail: Promise.resolve(), waiting: 0 };
  if (gate.waiting >= MOST_WAITING)
    throw new StoreUnavailable(new Error('too many requests with the same token'));
  gates.set(key, gate);

  const turn = gate.tail;
  const { promise, resolve } = Promise.withResolvers<void>();
  gate.tail = turn.then(() => promise);
  gate.waiting += 1;
  unit.onEnd(() => {
    gate.waiting -= 1;
    if (gate.waiting === 0) gates.delete(key);
    resolve();
  });
  if (gate.waiting === 1) return turn;
  const startedAt = performance.now();
  await withinWaitBudget(() => turn);
  gateWaits.record({ seconds: (performance.now() - startedAt) / 1000 });
}
