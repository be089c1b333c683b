import type { Db } from '../db/database.ts';
import type { Logger } from '../lib/logger.ts';
import { allSlots } from '../oidc/adapter/token-slots.ts';
import { emptyExpiredSlot } from './expired-slots.ts';
import type { Job } from './job.ts';
import { withLease } from './lease.ts';
import { pause } from './pause.ts';

/**
 * What can expire, beside the slots of the token tables. Rows go by `expires_at` alone: a consumed or dead
 * one is a tombstone that refuses replays until then. Partitions by themselves, because a `ctid` is unique
 * only within its table.
 */
export const EXPIRING_TABLES = [
  'oidc_models_grants',
  'oidc_models_sessions',
  'oidc_models_ephemeral',
  'replay_ids',
  'revoked_tokens',
  'login_states',
  'one_time_tokens',
  'attempt_counters',
  'mails',
  'user_sessions',
  'data_exports',
  'idempotency_keys',
  'import_faults',
  'import_jobs',
] as const;

const BATCH = 500;
/** Of the time a batch took, so that a busy database gets more of it; others' p99 shows what is less. */
const PAUSE_SHARE = 5;
const SHORTEST_PAUSE_MS = 50;
/** More than the clocks of verifiers may be off: a revocation must not be forgotten before its token is. */
const MARGIN_SECONDS = 300;

/**
 * One short statement that waits for nobody: it takes rows in the order of the index, skips those in
 * use, and the array makes the subquery run once (as a join it could run again and exceed the limit).
 */
export function expirySql(table: string, marginSeconds = MARGIN_SECONDS): string {
  return `DELETE FROM ${table} WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM ${table} WHERE expires_at < now() - interval '${marginSeconds} seconds'
    ORDER BY expires_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED))`;
}

/**
 * Every minute: empties the slots of the token tables that are over, and removes other expired rows in
 * small batches, with pauses that leave the database to requests.
 * @param refreshAbsoluteSeconds how long the tokens of a chain are kept
 */
export function createExpiryJob({
  db,
  log,
  refreshAbsoluteSeconds,
}: {
  db: Db;
  log: Logger;
  refreshAbsoluteSeconds: number;
}): Job {
  const slots = allSlots({ refreshAbsoluteSeconds });

  async function removeBatch(table: string, marginSeconds: number): Promise<number> {
    const batch = await withLease(db, 'expiry', async (trx) => {
      // Nobody waits for the disk: what a crash forgets is removed again.
      await trx.raw('SET LOCAL synchronous_commit = off');
      return trx.raw(expirySql(table, marginSeconds));
    });
    // Another process is at it.
    return batch.ran ? (batch.result.rowCount ?? 0) : 0;
  }

  async function removeRows(table: string, marginSeconds: number, signal: AbortSignal): Promise<void> {
    let removed = 0;
    let last = BATCH;
    while (last === BATCH && !signal.aborted) {
      const startedAt = performance.now();
      last = await removeBatch(table, marginSeconds);
      removed += last;
      if (last === BATCH)
        await pause(Math.max(SHORTEST_PAUSE_MS, PAUSE_SHARE * (performance.now() - startedAt)), signal);
    }
    if (removed > 0) log.info({ table, removed }, 'expired rows removed');
  }

  return {
    name: 'expiry',
    everySeconds: 60,
    async run(signal) {
      for (const { table, seconds } of slots) {
        if (signal.aborted) return;
        if (await emptyExpiredSlot(db, table, MARGIN_SECONDS)) log.info({ table }, 'expired slot emptied');
        // Rows that do not belong among those of the slot, and so would keep, or be kept, for too long:
        // an older version or another life of tokens put them there.
        else await removeRows(table, MARGIN_SECONDS + seconds, signal);
      }
      for (const table of EXPIRING_TABLES) await removeRows(table, MARGIN_SECONDS, signal);
    },
  };
}
