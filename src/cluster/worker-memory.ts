/**
 * How a process that serves is started, so that it takes less memory that it does not use (docs/adr/0021) and
 * V8 makes nothing that lives briefly where it would stay for long (docs/adr/0026). V8 and the C library take
 * their settings when a process starts. These limit nothing; docs/performance.md has what they cost.
 */
const HEAP_FLAGS = [
  '--max-semi-space-size=4',
  '--heap-growing-percent=15',
  '--no-allocation-site-pretenuring',
  '--no-parallel-scavenge',
];
/** Without thresholds of their own, both grow with the largest block that was freed, up to 32 and 64 MB. */
const ALLOCATOR = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

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
