import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/**
 * Gives the main threads of the driver and of the server that is measured a core each. Left alone, the scheduler
 * puts two that keep waking each other up on the same core, or does not, and so halves or doubles a round by
 * chance. Threads that sign and hash, and PostgreSQL, go where there is room. By taskset(1), so Linux only.
 * @param serverPid call it when the server has the threads it needs: later ones are where its main thread is
 * @returns lets both go where they like again
 */
export function keepApart(serverPid: number): () => void {
  const cores = availableParallelism();
  if (cores < 2) return () => {};
  confine(serverPid, '0');
  confine(process.pid, String(cores - 1));
  return () => {
    for (const pid of [serverPid, process.pid]) confine(pid, `0-${cores - 1}`);
  };
}

/** Of a process, the main thread alone. */
function confine(pid: number, cores: string): void {
  execFileSync('taskset', ['--cpu-list', '--pid', cores, String(pid)], { stdio: 'ignore' });
}
