import { tryTransactionLock } from '../db/advisory-lock.ts';
import type { Db } from '../db/database.ts';

const LONGEST_SECONDS = 600;

/**
 * Runs `work` unless another process is running it under the same name.
 *
 * The lease is a lock of a transaction, so it ends with the work, with the process and with the
 * connection. Whoever loses the connection loses the lease without learning it: the work itself must
 * be safe to run twice at once.
 *
 * @param work gets the transaction that holds the lease; it may work in it or in others
 * @returns what `work` returned, or that it did not run
 */
export async function withLease<Result>(
  db: Db,
  name: string,
  work: (trx: Db) => Promise<Result>,
): Promise<{ ran: true; result: Result } | { ran: false }> {
  return db.transaction(async (trx) => {
    if (!(await tryTransactionLock(trx, `lease:${name}`))) return { ran: false };
    // Work in other transactions leaves this one idle for longer than a request ever may.
    await trx.raw("SELECT set_config('idle_in_transaction_session_timeout', ?, true)", [
      `${LONGEST_SECONDS}s`,
    ]);
    return { ran: true, result: await work(trx) };
  });
}
