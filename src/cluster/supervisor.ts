import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../lib/logger.ts';
import { oneAtATime } from '../lib/one-at-a-time.ts';

/**
 * Keeps a number of workers running: replaces those that end by themselves, and on request all of them, one
 * after the other. It knows nothing of processes or of what the workers do.
 */
export interface WorkerHandle {
  pid: number | undefined;
  /** Resolves when it serves; rejected when it ended before. */
  ready: Promise<void>;
  /** Resolves when it is gone. */
  ended: Promise<{ code: number | null; signal: string | null }>;
  /** Lets it finish what is under way, and makes it end. */
  drain(options?: { graceMs: number }): Promise<void>;
}

export interface Supervisor {
  /** @throws when the first worker does not start: then none will, and nothing is left running */
  start(): Promise<void>;
  /** Each worker gives way to a new one that serves already. Where a new one does not start, the old ones go on. */
  reload(): Promise<void>;
  stop(): Promise<void>;
  running(): WorkerHandle[];
  /** Workers that ended by themselves so far. */
  crashes(): number;
}

interface Slot {
  number: number;
  worker: WorkerHandle | undefined;
  startedAt: number;
  crashesInARow: number;
  isReplacing: boolean;
}

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 10_000;
/** Whoever lived this long did not end for the reason it would end for again at once. */
const HEALTHY_MS = 30_000;
/** While it asks its clients to go elsewhere, it goes on serving them. */
const RELOAD_GRACE_MS = 1_000;

/** @param launch starts the worker of a slot: the number 1 works for all of them (migrations, jobs) */
export function createSupervisor({
  size,
  launch,
  log,
}: {
  size: number;
  launch: (slot: number) => WorkerHandle;
  log: Logger;
}): Supervisor {
  const stopping = new AbortController();
  const alive = new Set<WorkerHandle>();
  const slots: Slot[] = Array.from({ length: size }, (_, index) => ({
    number: index + 1,
    worker: undefined,
    startedAt: 0,
    crashesInARow: 0,
    isReplacing: false,
  }));
  let crashes = 0;

  /** @throws when it ends before it serves */
  async function fill(slot: Slot): Promise<void> {
    const worker = launch(slot.number);
    alive.add(worker);
    void worker.ended.then((how) => {
      alive.delete(worker);
      onEnd(slot, worker, how);
    });
    await worker.ready;
    log.info({ worker: slot.number, pid: worker.pid }, 'a worker serves');
    slot.worker = worker;
    slot.startedAt = performance.now();
  }

  function onEnd(
    slot: Slot,
    worker: WorkerHandle,
    how: { code: number | null; signal: string | null },
  ): void {
    if (slot.worker !== worker || stopping.signal.aborted) return;
    slot.worker = undefined;
    crashes += 1;
    if (performance.now() - slot.startedAt > HEALTHY_MS) slot.crashesInARow = 0;
    log.error({ worker: slot.number, ...how }, 'a worker ended; it is replaced');
    if (!slot.isReplacing) void revive(slot);
  }

  /** Again and again, ever more slowly, until it serves or nobody wants it any more. */
  async function revive(slot: Slot): Promise<void> {
    while (!stopping.signal.aborted) {
      await backoff(slot);
      if (stopping.signal.aborted) return;
      try {
        await fill(slot);
        return;
      } catch (err) {
        log.error({ err, worker: slot.number }, 'a worker does not start');
      }
    }
  }

  async function backoff(slot: Slot): Promise<void> {
    const attempt = slot.crashesInARow;
    slot.crashesInARow += 1;
    if (attempt === 0) return;
    const milliseconds = Math.min(FIRST_BACKOFF_MS * 2 ** (attempt - 1), LONGEST_BACKOFF_MS);
    await pause(milliseconds, undefined, { signal: stopping.signal }).catch(() => {});
  }

  /** @returns false when the new one does not start */
  async function replace(slot: Slot): Promise<boolean> {
    const old = slot.worker;
    // It is about to be made anew by itself.
    if (!old) return true;
    slot.isReplacing = true;
    try {
      await fill(slot);
    } catch (err) {
      log.error({ err, worker: slot.number }, 'a new worker does not start; the old ones go on');
      return false;
    } finally {
      slot.isReplacing = false;
      if (!slot.worker) void revive(slot);
    }
    await old.drain({ graceMs: RELOAD_GRACE_MS });
    return true;
  }

  const reload = oneAtATime(async () => {
    log.info('replacing all workers');
    for (const slot of slots) {
      if (stopping.signal.aborted) return;
      if (!(await replace(slot))) return;
    }
    log.info('all workers are replaced');
  });

  async function stop(): Promise<void> {
    stopping.abort();
    await Promise.all([...alive].map((worker) => worker.drain()));
  }

  return {
    reload,
    stop,
    running: () => slots.flatMap(({ worker }) => worker ?? []),
    crashes: () => crashes,

    async start() {
      const [first, ...others] = slots;
      try {
        // Alone: the others find the database ready.
        if (first) await fill(first);
      } catch (err) {
        await stop();
        throw err;
      }
      await Promise.all(
        others.map((slot) =>
          fill(slot).catch((err: unknown) => {
            log.error({ err, worker: slot.number }, 'a worker does not start');
            void revive(slot);
          }),
        ),
      );
    },
  };
}
