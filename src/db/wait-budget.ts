import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * How long one request may wait for the database, all its questions together. Every single wait has a
 * timeout, but they add up: for a connection, for a lock, for the next one. Whoever waits for a page or a
 * token is better served by an early "try again". Queues behind others who wait for the database count as
 * well; other waits (a password for its hash) do not. Waits at the same time count once.
 */
interface WaitBudget {
  /** As of the last moment without a wait. */
  leftMs: number;
  waits: number;
  /** The first of the waits under way. */
  beganAt: number;
  /** The request is answered. What it has set in motion goes on in its context, and may take its time. */
  isOver: boolean;
}

const storage = new AsyncLocalStorage<WaitBudget | undefined>();

/** The request has waited for the database as long as it may. */
export class WaitBudgetSpent extends Error {
  constructor() {
    super('the request has waited for the database as long as it may');
    this.name = 'WaitBudgetSpent';
  }
}

export async function withWaitBudget<Result>(
  milliseconds: number,
  work: () => Promise<Result>,
): Promise<Result> {
  const budget = { leftMs: milliseconds, waits: 0, beganAt: 0, isOver: false };
  try {
    return await storage.run(budget, work);
  } finally {
    budget.isOver = true;
  }
}

/** For what several requests wait for: it is not cut short with the one who began it. */
export function withoutWaitBudget<Result>(work: () => Result): Result {
  return storage.run(undefined, work);
}

/** What is left for the next wait; undefined where no request is waiting, as in a job. */
export function waitLeftMs(): number | undefined {
  const budget = storage.getStore();
  return budget?.isOver === false ? budget.leftMs - waitedMs(budget) : undefined;
}

function waitedMs({ waits, beganAt }: WaitBudget): number {
  return waits === 0 ? 0 : performance.now() - beganAt;
}

/** Takes the time until the returned function is called off what is left. */
export function beginWait(): () => void {
  const budget = storage.getStore();
  if (!budget) return () => {};
  if (budget.waits === 0) budget.beganAt = performance.now();
  budget.waits += 1;
  let hasEnded = false;
  return () => {
    if (hasEnded) return;
    hasEnded = true;
    if (budget.waits === 1) budget.leftMs -= waitedMs(budget);
    budget.waits -= 1;
  };
}

/**
 * Waits no longer than the request may.
 * @param undo for what comes too late and would stay behind
 * @throws {WaitBudgetSpent}
 */
export function withinWaitBudget<Result>(
  waitFor: () => Promise<Result>,
  undo: (late: Result) => unknown = () => {},
): Promise<Result> {
  const leftMs = waitLeftMs();
  if (leftMs === undefined) return waitFor();
  if (leftMs <= 0) return Promise.reject(new WaitBudgetSpent());

  const end = beginWait();
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end();
    reject(new WaitBudgetSpent());
  }, leftMs);
  const inTime = (): boolean => {
    if (isLate) return false;
    clearTimeout(timer);
    end();
    return true;
  };
  waitFor().then(
    (result) => (inTime() ? resolve(result) : undo(result)),
    (err: unknown) => {
      if (inTime()) reject(err);
    },
  );
  return promise;
}
