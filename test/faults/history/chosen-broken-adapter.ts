import { BROKEN_ADAPTERS } from './broken-adapters.ts';
import type { BrokenAdapter, BrokenAdapterName } from './broken-adapters.ts';

/** What this process is to be broken like. */
export function chosenBrokenAdapter(): BrokenAdapter {
  return BROKEN_ADAPTERS[process.env['FAULTS_BROKEN_ADAPTER'] as BrokenAdapterName];
}
