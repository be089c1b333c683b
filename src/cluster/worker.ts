import cluster from 'node:cluster';
import type { Duties } from '../start.ts';
import { converse } from './messages.ts';
import type { Topics, ToWorker } from './messages.ts';

/** Which of the workers a process is; the primary says so in the environment. */
export interface WorkerPlace {
  slot: number;
  /** The first one ever, not one that replaces it. */
  isFirst: boolean;
}

export const PLACE_VARIABLE = 'GATEHOUSE_WORKER';

/** This process as one of several. */
export interface WorkerRole {
  slot: number;
  duties: Duties;
  /** Tells the primary that it serves. */
  ready(port: number): void;
  /** Tells the primary that migrations begin, or are over. */
  migrating(isUnderWay: boolean): void;
  /**
   * @param listener called when the primary wants it to end; `until` resolves when no more connections come, and
   *   all of them have arrived
   */
  onDrain(listener: (options: { until: Promise<unknown> }) => void): void;
  /** Lets the primary ask. @returns how to ask the primary */
  converse(topics: Topics): ReturnType<typeof converse>;
}

/** @returns undefined in a process that is alone, or the primary */
export function workerRole(env: Readonly<Record<string, string | undefined>>): WorkerRole | undefined {
  if (!cluster.isWorker) return undefined;
  const { slot, isFirst }: WorkerPlace = JSON.parse(env[PLACE_VARIABLE] ?? '{}');
  const send = (message: unknown) => {
    if (process.connected) process.send?.(message);
  };
  const disconnected = new Promise((resolve) => process.once('disconnect', () => resolve(undefined)));
  return {
    slot,
    duties: { migrates: slot === 1, printsBanner: isFirst, runsJobs: slot === 1, servesMetrics: false },
    ready: (port) => send({ type: 'ready', port }),
    migrating: (isUnderWay) => send({ type: 'migrating', isUnderWay }),
    onDrain(listener) {
      process.on('message', (message: ToWorker) => {
        if (message.type === 'drain') listener({ until: disconnected });
      });
    },
    converse: (topics) =>
      converse({ send, onMessage: (listener) => process.on('message', listener) }, topics),
  };
}
