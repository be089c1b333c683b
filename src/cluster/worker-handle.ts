import type { Worker } from 'node:cluster';
import { setTimeout as pause } from 'node:timers/promises';
import { watchHandoffs } from './handoffs.ts';
import { converse } from './messages.ts';
import type { Topics, ToPrimary, ToWorker } from './messages.ts';
import type { WorkerHandle } from './supervisor.ts';

/** A worker as the primary holds it. Whatever becomes of the process, both promises of the handle settle. */
export interface ClusterWorker extends WorkerHandle {
  worker: Worker;
  ask(topic: string, value?: unknown): Promise<unknown>;
}

interface HandleOptions {
  drainSeconds: number;
  graceMs: number;
  /** How long it may take until it serves, beside migrations. It takes about one. */
  startSeconds?: number;
  /** A worker that serves, if there is another one. */
  other: () => Worker | undefined;
  topics: Topics;
}

const START_SECONDS = 60;
/** How much longer than it may take to drain a worker may take to end. */
const ENDING_SECONDS = 5;

export function createWorkerHandle(
  worker: Worker,
  { drainSeconds, graceMs, startSeconds = START_SECONDS, other, topics }: HandleOptions,
): ClusterWorker {
  const isMade = worker.process.pid !== undefined;
  const handoffs = isMade ? watchHandoffs(worker, other) : undefined;
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<{ code: number | null; signal: string | null }>();
  ready.promise.catch(() => {});

  let startTimer: NodeJS.Timeout | undefined;
  const limitStart = () => {
    startTimer = setTimeout(() => {
      ready.reject(new Error(`the worker did not serve within ${startSeconds} s`));
      worker.process.kill('SIGKILL');
    }, startSeconds * 1000).unref();
  };
  worker.on('message', (message: ToPrimary) => {
    if (message.type !== 'ready' && message.type !== 'migrating') return;
    clearTimeout(startTimer);
    if (message.type === 'ready') ready.resolve();
    else if (!message.isUnderWay) limitStart();
  });
  const end = (how: { code: number | null; signal: string | null }, err: Error) => {
    clearTimeout(startTimer);
    ready.reject(err);
    ended.resolve(how);
  };
  worker.once('exit', (code: number | null, signal: string | null) =>
    end({ code, signal }, new Error(`the worker ended with ${signal ?? code} before it served`)),
  );
  worker.on('error', (err) => {
    // What was never made has no end either. Of any other its end is all there is to know.
    if (!isMade) end({ code: null, signal: null }, err);
  });
  limitStart();

  const send = (message: ToWorker) => {
    if (worker.isConnected()) worker.send(message);
  };
  return {
    worker,
    pid: worker.process.pid,
    ready: ready.promise,
    ended: ended.promise,
    ask: converse(
      {
        send: (message) => send(message as ToWorker),
        onMessage: (listener) => worker.on('message', listener),
      },
      topics,
    ),

    async drain(options) {
      const grace = options?.graceMs ?? graceMs;
      send({ type: 'drain' });
      const timer = setTimeout(() => worker.process.kill('SIGKILL'), (drainSeconds + ENDING_SECONDS) * 1000);
      await Promise.race([pause(grace), ended.promise]);
      // From here, not from the worker: whatever was handed to it before arrives before this, and nothing after it.
      // With the last worker Node also closes what waits to be handed over, so it goes when nothing does.
      handoffs?.whenIdle(() => worker.isConnected() && worker.disconnect());
      await ended.promise;
      clearTimeout(timer);
    },
  };
}
