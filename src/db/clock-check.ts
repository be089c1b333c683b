import type { Db } from './database.ts';

/**
 * Compares the clock of this process with the database's, which all replicas share: what expires in the
 * database is judged by its clock, what is signed carries ours, and others reject tokens from the future.
 */

/** JWTs of others are read with 15 s of tolerance, and ours by others with about as much. */
const MOST_SKEW_MS = 30_000;

/** @throws when the clocks are too far apart, or the database does not tell its time */
export async function checkClock({ db, now }: { db: Db; now: () => Date }): Promise<void> {
  const askedAt = now().getTime();
  const { rows } = await db.raw(
    'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS milliseconds',
  );
  const answeredAt = now().getTime();
  const theirs: number = rows[0].milliseconds;
  // It looked at its clock somewhere between question and answer.
  const skewMs = theirs < askedAt ? askedAt - theirs : Math.max(0, theirs - answeredAt);
  if (skewMs > MOST_SKEW_MS)
    throw new Error(`this clock and the database's are ${Math.round(skewMs / 1000)} s apart`);
}
