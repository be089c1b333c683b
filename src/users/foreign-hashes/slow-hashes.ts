import { Worker } from 'node:worker_threads';
import type { ForeignScheme } from './foreign-hash.ts';

/** The schemes that no library computes in the thread pool. */
export type SlowHash = Extract<ForeignScheme, { scheme: 'bcrypt' | 'md5-crypt' | 'sha-crypt' }>;

type Answer = { id: number; digest: string } | { id: number; error: string };

interface Waiting {
  resolve: (digest: string) => void;
  reject: (err: Error) => void;
}

/** Many times what the costliest hash that is accepted takes. */
const LONGEST_MS = 30_000;

/**
 * Computes them in a thread of their own, which is started at the first one and keeps no process alive. One thread: the
 * hashes of other systems are used once each, then replaced.
 */
export function createSlowHashes() {
  const waiting = new Map<number, Waiting>();
  let thread: Worker | undefined;
  let count = 0;

  function start(): Worker {
    const worker = new Worker(new URL('./slow-hash-worker.ts', import.meta.url));
    worker.unref();
    worker.on('message', (answer: Answer) => {
      const { resolve, reject } = waiting.get(answer.id) ?? {};
      waiting.delete(answer.id);
      if ('digest' in answer) resolve?.(answer.digest);
      else reject?.(new Error(`a password could not be hashed: ${answer.error}`));
    });
    worker.on('error', (err) => fail(worker, err));
    worker.on('exit', (code) => fail(worker, new Error(`the thread for password hashes ended with ${code}`)));
    return worker;
  }

  /** The next hash starts another one. */
  function fail(worker: Worker, err: unknown): void {
    if (thread !== worker) return;
    thread = undefined;
    const cause = err instanceof Error ? err : new Error('the thread for password hashes failed');
    for (const { reject } of waiting.values()) reject(cause);
    waiting.clear();
  }

  return {
    /** @returns the digest as `crypt` writes it, without parameters and salt */
    async digest(password: string, how: SlowHash): Promise<string> {
      const worker = (thread ??= start());
      const id = (count += 1);
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      waiting.set(id, { resolve, reject });
      const timer = setTimeout(() => {
        fail(worker, new Error('a password hash took too long'));
        void worker.terminate();
      }, LONGEST_MS);
      worker.postMessage({ id, password, how });
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
