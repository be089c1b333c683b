import type { SharedCounters } from '../http/rate-limiter.ts';
import { sha256 } from '../lib/ids.ts';
import { prepared } from './database.ts';
import type { Db } from './database.ts';

const KEPT_SECONDS = 120;
const MOST_REMOVED = 200;

/** Rate counters in PostgreSQL, for where there is no Redis: all of them in one statement. */
export function databaseCounters(db: Db): SharedCounters {
  return {
    async add(amounts) {
      const hashes = amounts.map(({ key }) => sha256(key));
      const { rows } = await prepared<{ id_hash: Buffer; amount: number }>(
        db,
        'rate-counters-add',
        // In the order of the keys, or two processes could wait for each other. Spent counters go with the same
        // statement: whoever adds some also removes some.
        `WITH gone AS (
           DELETE FROM rate_counters WHERE id_hash = ANY (ARRAY (
             SELECT id_hash FROM rate_counters WHERE expires_at < now() LIMIT ${MOST_REMOVED} FOR UPDATE SKIP LOCKED)))
         INSERT INTO rate_counters AS c (id_hash, amount, expires_at)
         SELECT id_hash, amount, now() + make_interval(secs => ${KEPT_SECONDS})
           FROM unnest(?::bytea[], ?::int[]) AS added (id_hash, amount) ORDER BY id_hash
         ON CONFLICT (id_hash) DO UPDATE SET amount = c.amount + excluded.amount, updated_at = now()
         RETURNING id_hash, amount`,
        [hashes, amounts.map(({ amount }) => amount)],
      );
      const sums = new Map(rows.map((row) => [row.id_hash.toString('hex'), row.amount]));
      return hashes.map((hash) => sums.get(hash.toString('hex')) ?? 0);
    },
  };
}
