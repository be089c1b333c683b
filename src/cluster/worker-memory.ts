/**
 * How a process that serves is started, so that it takes less memory that it does not use. V8 and the C library
 * take their settings when a process starts, and by default much more than is alive. These limit nothing, and
 * cost nothing that could be measured; docs/performance.md has settings for where memory is scarce.
 */
const HEAP_FLAGS = ['--max-semi-space-size=16'];
const ALLOCATOR = { MALLOC_ARENA_MAX: '2' };

/**
 * @param given arguments for Node that the primary was started with, which its workers are started with as well
 * @param nodeOptions NODE_OPTIONS; what the operator has set here or there stays
 */
export function workerArguments(given: readonly string[], nodeOptions = ''): string[] {
  const set = [...given, ...nodeOptions.split(/\s+/)].map(nameOf);
  return [...HEAP_FLAGS.filter((flag) => !set.includes(nameOf(flag))), ...given];
}

/** @param env the primary's; what the operator has set stays */
export function workerEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(ALLOCATOR).filter(([name]) => env[name] === undefined));
}

/** Node and V8 take underscores for hyphens. */
function nameOf(flag: string): string {
  return flag.replace(/=.*/, '').replaceAll('_', '-');
}
