import { setTimeout as delay } from 'node:timers/promises';
import type { Installation } from '../support/installation.ts';
import type { FaultKind, PlannedFault } from './plan.ts';
import type { Recorder } from './record.ts';
import { at } from './slots.ts';

/** Does the planned faults, one after the other, each when so many operations are done. */
export interface Nemesis {
  /** To be told after every operation. */
  progress(done: number): void;
  /** What is under way ends, what is left out stays out; everything is well again. */
  settle(): Promise<void>;
}

export type Target = Pick<Installation, 'servers' | 'proxy' | 'postgres' | 'redis'>;

const STALL_MS = 700;
/** Longer than anybody waits for Redis, shorter than its connections are tried again. */
const REDIS_OUTAGE_MS = 500;
const FREEZE_MS = 500;
const LOST_COMMITS = 5;

export function createNemesis(target: Target, recorder: Recorder, faults: readonly PlannedFault[]): Nemesis {
  const waiting = faults.toSorted((a, b) => a.after - b.after);
  let running: Promise<void> = Promise.resolve();

  async function carryOut({ kind, server }: PlannedFault): Promise<void> {
    const invokedAt = recorder.now();
    await FAULTS[kind](target, server);
    const fault = kind.includes('server') ? `${kind} ${server}` : kind;
    recorder.add({ worker: 0, server, invokedAt, outcome: 'ok', detail: '', kind: 'fault', fault });
  }

  return {
    progress(done) {
      for (let next = waiting[0]; next && next.after <= done; next = waiting[0]) {
        waiting.shift();
        const fault = next;
        running = running.then(() => carryOut(fault));
        // Whoever settles hears of it; until then it is nobody's unhandled rejection.
        running.catch(() => {});
      }
    },
    async settle() {
      waiting.length = 0;
      await running;
      target.proxy.loseReplies(0);
      target.proxy.loseCommits(0);
    },
  };
}

const FAULTS: Record<FaultKind, (target: Target, server: number) => Promise<void>> = {
  async 'kill-server'({ servers }, index) {
    const server = at(servers, index);
    await server.kill('SIGKILL');
    await server.start();
  },
  async 'kill-worker'({ servers }, index) {
    await at(servers, index).killWorker();
  },
  async 'freeze-server'({ servers }, index) {
    const server = at(servers, index);
    server.freeze();
    await delay(FREEZE_MS);
    server.thaw();
  },
  async 'cut-connections'({ proxy }) {
    proxy.cut();
  },
  async 'lose-replies'({ proxy }) {
    proxy.loseReplies(LOST_COMMITS);
  },
  async 'lose-commits'({ proxy }) {
    proxy.loseCommits(LOST_COMMITS);
  },
  async 'stall-database'({ proxy }) {
    proxy.stall();
    await delay(STALL_MS);
    proxy.resume();
  },
  async 'crash-database'({ postgres }) {
    await postgres.crash();
    await postgres.start();
  },
  async 'kill-redis'({ redis }) {
    await redis.kill();
    await delay(REDIS_OUTAGE_MS);
    await redis.restart();
  },
  async 'stall-redis'({ redis }) {
    redis.stall();
    await delay(REDIS_OUTAGE_MS);
    redis.resume();
  },
  async 'flush-redis'({ redis }) {
    await redis.flush();
  },
};
