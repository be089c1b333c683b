import type { AccountDeletions } from '../account-portal/account-deletions.ts';
import type { DataExports } from '../account-portal/data-exports.ts';
import type { Job } from './job.ts';

/** Every few seconds: what people asked of their accounts. Each is decided by a row of its own, so two processes do nothing twice. */
export function createAccountRequestsJob({
  exports,
  deletions,
}: {
  exports: Pick<DataExports, 'makeNext'>;
  deletions: Pick<AccountDeletions, 'carryOutNext'>;
}): Job {
  return {
    name: 'account-requests',
    everySeconds: 5,
    async run(signal) {
      while (!signal.aborted && (await exports.makeNext()));
      while (!signal.aborted && (await deletions.carryOutNext()));
    },
  };
}
