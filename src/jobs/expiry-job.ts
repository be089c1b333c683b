import { setTimeout as pause } from 'node:timers/promises';
import type { Db } from '../db/database.ts';
import type { Logger } from '../lib/logger.ts';
import type { Job } from './job.ts';
import { withLease } from './lease.ts';

/**
 * What can expire. Rows go by `expires_at` alone: a consumed or dead one is a tombstone that refuses
 * replays until then. Partitions by themselves, because a `ctid` is unique only within its table.
 */
export const EXPIRING_TABLES = [
  'oidc_models_grants',
  'oidc_models_sessions',
  'oidc_models_refresh_tokens',
  'oidc_models_ephemeral',
  'replay_ids',
  'revoked_tokens',
  'login_states',
  'one_time_tokens',
  'attempt_counters',
  'mails',
] as const;

const BATCH = 500;
const PAUSE_MS = 20;
/** More than the clocks of verifiers may be off: a revocation must not be forgotten before its token is. */
const MARGIN_SECONDS = 300;

/**
 * One short statement that waits for nobody: it takes rows in the order of the index, skips those in
 * use, and the array makes the subquery run once (as a join it could run again and exceed the limit).
 */
export function expirySql(table: (typeof EXPIRING_TABLES)[number]): string {
  return `DELETE FROM ${table} WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM ${table} WHERE expires_at < now() - interval '${MARGIN_SECONDS} seconds'
    ORDER BY expires_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED))`;
}

/** Every minute: removes expired rows in small batches, with pauses that leave the database to requests. */
export function createExpiryJob({ db, log }: { db: Db; log: Logger }): Job {
  async function removeBatch(table: (typeof EXPIRING_TABLES)[number]): Promise<number> {
    const batch = await withLease(db, 'expiry', async (trx) => trx.raw(expirySql(table)));
    // Another process is at it.
    return batch.ran ? (batch.result.rowCount ?? 0) : 0;
  }

  async function empty(table: (typeof EXPIRING_TABLES)[number], signal: AbortSignal): Promise<void> {
    let removed = 0;
    let last = BATCH;
    while (last === BATCH && !signal.aborted) {
      last = await removeBatch(table);
      removed += last;
      if (last === BATCH) await pause(PAUSE_MS);
    }
    if (removed > 0) log.info({ table, removed }, 'expired rows removed');
  }

  return {
    name: 'expiry',
    everySeconds: 60,
    async run(signal) {
      for (const table of EXPIRING_TABLES) await empty(table, signal);
    },
  };
}
