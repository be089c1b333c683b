import type { Db } from './database.ts';

/**
 * Takes a lock by name that every process on the database sees, without waiting for it. It ends with
 * the transaction, so a process that dies leaves none behind.
 *
 * @param trx must be a transaction
 * @returns false when someone else holds the lock
 */
export async function tryTransactionLock(trx: Db, name: string): Promise<boolean> {
  const { rows } = await trx.raw('SELECT pg_try_advisory_xact_lock(hashtextextended(?, 0)) AS locked', [
    `gatehouse:${name}`,
  ]);
  return rows[0].locked === true;
}
