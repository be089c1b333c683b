import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

interface Usage {
  parent: number;
  ticks: number;
}

let ticksPerSecond: number | undefined;

/**
 * The CPU seconds that processes and everything below them have used so far, children that have ended
 * included; from /proc (proc(5)), so Linux only.
 */
export function cpuSecondsOf(roots: readonly number[]): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const processes = readProcesses();
  const ticks = below(roots, processes).reduce((sum, pid) => sum + (processes.get(pid)?.ticks ?? 0), 0);
  return ticks / ticksPerSecond;
}

/** Processes and everything below them. */
export function processTree(roots: readonly number[]): number[] {
  return below(roots, readProcesses());
}

function below(roots: readonly number[], processes: ReadonlyMap<number, Usage>): number[] {
  const children = Map.groupBy(processes.keys(), (pid) => processes.get(pid)?.parent);
  const found = new Set<number>();
  const waiting = [...roots];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    if (found.has(pid)) continue;
    found.add(pid);
    waiting.push(...(children.get(pid) ?? []));
  }
  return [...found];
}

function readProcesses(): Map<number, Usage> {
  const processes = new Map<number, Usage>();
  for (const name of readdirSync('/proc')) {
    const usage = /^\d+$/.test(name) ? readUsage(name) : undefined;
    if (usage) processes.set(Number(name), usage);
  }
  return processes;
}

function readUsage(pid: string): Usage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold anything; the rest is numbers, from field 3 on.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number);
    return {
      parent: Number(fields[1]),
      ticks: (utime ?? 0) + (stime ?? 0) + (cutime ?? 0) + (cstime ?? 0),
    };
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}
