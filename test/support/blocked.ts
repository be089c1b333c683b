import type { Knex } from 'knex';

/**
 * Holds what is locked, begins one piece of work after the other, each when the one before stands in front of the lock
 * or behind it, and lets go when all do: so they happen in this order.
 * @throws when one of them does not come to stand there
 */
export async function inOrderBehind<Results extends unknown[]>(
  db: Knex,
  lock: (trx: Knex.Transaction) => PromiseLike<unknown>,
  work: { [Index in keyof Results]: () => Promise<Results[Index]> },
): Promise<Results> {
  const trx = await db.transaction();
  const results: Promise<unknown>[] = [];
  let finished = 0;
  try {
    await lock(trx);
    for (const begin of work) {
      results.push(
        begin().finally(() => {
          finished += 1;
        }),
      );
      for (let waiting = 0; waiting < results.length; ) {
        if (finished > 0) throw new Error('something did not wait for the lock');
        waiting = await waitingBehind(db, trx);
      }
    }
  } finally {
    await trx.commit();
    await Promise.allSettled(results);
  }
  return (await Promise.all(results)) as Results;
}

/** How many stand in front of what the transaction has locked, or behind those who do. */
export async function waitingBehind(db: Knex, trx: Knex.Transaction): Promise<number> {
  const { rows } = await trx.raw('SELECT pg_backend_pid() AS pid');
  const blocked = await db.raw(
    `WITH RECURSIVE behind (pid) AS (
       VALUES (?::int) UNION
       SELECT a.pid FROM pg_stat_activity a JOIN behind b ON b.pid = ANY (pg_blocking_pids(a.pid)))
     SELECT count(*)::int - 1 AS waiting FROM behind`,
    [rows[0].pid],
  );
  return blocked.rows[0].waiting;
}
