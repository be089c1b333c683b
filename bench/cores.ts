import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { processTree } from './cpu-time.ts';

/**
 * Says which cores the threads of a measured round run on. Left alone, the scheduler puts two threads that keep
 * waking each other up on the same core, or does not, and so halves or doubles a round by chance. By taskset(1),
 * so Linux only. Each returns what lets all of them go where they like again; call it when the server has the
 * threads it needs, for later ones are where its main thread is.
 */

const CORES = availableParallelism();

/** The main threads of the driver and of the server get a core each; PostgreSQL and what signs goes where there is room. */
export function keepApart([server = 0]: readonly number[]): () => void {
  if (CORES < 2) return () => {};
  confine(server, '0');
  confine(process.pid, String(CORES - 1));
  return () => letGo([server, process.pid]);
}

/** Threads that hash passwords get as many cores as there may be hashes at once, and all else, the database too, the others. */
export function keepHashersApart(servers: readonly number[], hashers: number): () => void {
  if (hashers >= CORES) return keepApart(servers);
  const [forHashes, forAllElse] = [`${CORES - hashers}-${CORES - 1}`, `0-${CORES - 1 - hashers}`];
  // The driver is the parent of its servers.
  const threads = () => processTree([process.pid, ...servers]).flatMap(threadsOf);
  for (const { id, name } of threads()) confine(id, name.startsWith('libuv-worker') ? forHashes : forAllElse);
  return () => letGo(threads().map(({ id }) => id));
}

function letGo(threads: readonly number[]): void {
  for (const thread of threads) confine(thread, `0-${CORES - 1}`);
}

function threadsOf(pid: number): { id: number; name: string }[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((id) => ({
      id: Number(id),
      name: readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8'),
    }));
  } catch {
    // It ended meanwhile.
    return [];
  }
}

/** Of a process, its main thread alone. */
function confine(thread: number, cores: string): void {
  try {
    execFileSync('taskset', ['--cpu-list', '--pid', cores, String(thread)], { stdio: 'ignore' });
  } catch (err) {
    if (existsSync(`/proc/${thread}`)) throw err;
  }
}
