import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer } from './answers.ts';
import type { RepeatedRequest } from './requests.ts';

/** What clients in a process of their own are to do: their event loop must not be what is measured. */
export interface ClientJob {
  publicUrl: string;
  urls: readonly string[];
  requests: readonly RepeatedRequest[];
  /**
   * at-once: everybody sends their request in the same moment, and again when a 503 has told them to come
   * back. steadily: the requests in turn, so many a second whatever the answers take.
   */
  pace: { kind: 'at-once'; mostTries: number } | { kind: 'steadily'; perSecond: number };
}

export interface ClientProcess {
  /** Until everybody has done what they were to do, or until they are told to stop. */
  answers: Promise<Answer[]>;
  /** No more requests; those under way are still answered. */
  stop(): void;
}

export type ToClients = { type: 'work'; job: ClientJob } | { type: 'stop' };

const PROGRAM = fileURLToPath(new URL('./client-program.ts', import.meta.url));

export function startClients(job: ClientJob): ClientProcess {
  const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const send = (message: ToClients) => child.send(message);
  const answered = once(child, 'message').then(([answers]) => answers as Answer[]);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the clients ended with ${code} before they were done`);
  });
  send({ type: 'work', job });
  const answers = Promise.race([answered, ended]);
  answers.catch(() => {});
  return { answers, stop: () => void send({ type: 'stop' }) };
}
