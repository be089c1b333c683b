import type { Db } from '../db/database.ts';
import { withLease } from './lease.ts';

/** Who is about to ask a slot waits behind the lock of its whole table no longer than this. */
const LOCK_TIMEOUT_MS = 100;

/**
 * Empties a slot of the token tables in one step once everything in it has expired: no row is deleted,
 * nothing is left to vacuum. The rows decide, not the calendar: a slot with a single live row stays.
 * @param marginSeconds how long rows are kept after they expired
 * @returns whether it was emptied; a slot that is in use is left for the next time
 */
export async function emptyExpiredSlot(db: Db, table: string, marginSeconds: number): Promise<boolean> {
  if (!(await isOver(db, table, marginSeconds))) return false;
  try {
    const emptied = await withLease(db, `expiry:${table}`, async (trx) => {
      await trx.raw(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT_MS}ms'`);
      await trx.raw(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
      // What was stored since the first look is seen under the lock.
      if (!(await isOver(trx, table, marginSeconds))) return false;
      await trx.raw(`TRUNCATE ${table}`);
      return true;
    });
    return emptied.ran && emptied.result;
  } catch (err) {
    if (isLockTimeout(err)) return false;
    throw err;
  }
}

/** By the newest row, which the index tells; an empty slot has nothing to be emptied. */
async function isOver(db: Db, table: string, marginSeconds: number): Promise<boolean> {
  const { rows } = await db.raw(
    `SELECT max(expires_at) < now() - make_interval(secs => ?) AS is_over FROM ${table}`,
    [marginSeconds],
  );
  return rows[0].is_over === true;
}

function isLockTimeout(err: unknown): boolean {
  return err instanceof Error && 'code' in err && err.code === '55P03';
}
