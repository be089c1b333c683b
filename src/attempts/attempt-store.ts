import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { UNHURRIED } from '../db/unhurried.ts';

/**
 * The queries of `attempt_counters`, bound to a tenant. Each decides and counts in one statement, under the
 * row's lock, so that of any number of attempts at once, in any number of processes, no more get through
 * than may.
 *
 * What is counted is hashed by the database, in the letter case that its own look-ups ignore: a spelling
 * that finds the same account cannot have a counter of its own.
 */
export interface Budget {
  /** What the attempts are at, or where they come from. */
  subject: string;
}

/** Attempts at one thing in a row; after each, the next must wait for as long as its place in the row says. */
export interface RowBudget extends Budget {
  /** Seconds to wait after the first attempt, the second, and so on; the last one holds for all that follow. */
  waitSeconds: readonly number[];
  /** How long after the last attempt the row is forgotten. */
  keptSeconds: number;
}

/** So many attempts within a time that begins with the first one. */
export interface WindowBudget extends Budget {
  limit: number;
  windowSeconds: number;
}

const ID = `sha256(convert_to(lower(?), 'UTF8'))`;
// The statement's row, whatever it counts: one that has expired begins anew.
const NEXT = `(CASE WHEN c.expires_at <= now() THEN 1 ELSE c.attempts + 1 END)`;
const WAITS = '(SELECT w FROM waits)';
const waitAfter = (attempts: string) => `${WAITS}[least(${attempts}, array_length(${WAITS}, 1))]`;
const seconds = (amount: string) => `make_interval(secs => ${amount})`;
const blockedUntil = (attempts: string) => `now() + nullif(${seconds(waitAfter(attempts))}, interval '0')`;

// Takes: tenant, subject, window, limit.
const countWindow = (from: string) => `
  INSERT INTO attempt_counters AS c (tenant_id, id_hash, expires_at)
  SELECT ?::uuid, ${ID}, now() + ${seconds('?::float8')} ${from}
  ON CONFLICT (tenant_id, id_hash) DO UPDATE SET
    attempts = ${NEXT},
    expires_at = CASE WHEN c.expires_at <= now() THEN excluded.expires_at ELSE c.expires_at END,
    updated_at = now()
  WHERE c.expires_at <= now() OR c.attempts < ?::int
  RETURNING attempts`;

// Takes: kept seconds; tenant, subject.
const countRow = (from: string) => `
  INSERT INTO attempt_counters AS c (tenant_id, id_hash, blocked_until, expires_at)
  SELECT ?::uuid, ${ID}, ${blockedUntil('1')}, now() + kept FROM ${from}
  ON CONFLICT (tenant_id, id_hash) DO UPDATE SET
    attempts = ${NEXT},
    blocked_until = ${blockedUntil(NEXT)},
    expires_at = greatest(excluded.expires_at, ${blockedUntil(NEXT)}),
    updated_at = now()
  WHERE c.expires_at <= now() OR c.blocked_until IS NULL OR c.blocked_until <= now()
  RETURNING attempts`;

const PARAMETERS = `waits AS (SELECT ?::int[] AS w), life AS (SELECT ${seconds('?::float8')} AS kept)`;

// Losing a point given back costs nobody but whoever gets it. Takes: tenant, subject; tenant, subject. The rows are
// locked in one order everywhere, the narrow window's first and the account's last, or two sign-ins could wait for each
// other; whoever reads `done` comes after the windows.
const giveBack = (from: string) =>
  `UPDATE attempt_counters SET attempts = attempts - 1, updated_at = now() FROM ${from}
    WHERE tenant_id = ?::uuid AND id_hash = ${ID} AND attempts > 0 RETURNING 1`;
const GIVE_BACK_WINDOWS = `
  given_back AS (${giveBack('unhurried')}),
  near AS (SELECT count(*) FROM given_back),
  given_back_around AS (${giveBack('near')}),
  done AS (SELECT count(*) FROM given_back_around)`;

/** Of where the attempt comes from, and of what lies around. */
export type Windows = readonly [near: WindowBudget, around: WindowBudget];

const NO_WINDOW = { subject: '', limit: 1, windowSeconds: 0 };
const NO_WINDOWS: Windows = [NO_WINDOW, NO_WINDOW];

export function attemptStore(db: Db, tenantId: string) {
  const pointsOf = (windows: Windows | undefined) =>
    (windows ?? NO_WINDOWS).flatMap(({ subject }) => [tenantId, subject]);

  return {
    /**
     * Counts an attempt, if all budgets allow it; those of the windows are asked first, the narrow one before the wide
     * one, so that whoever has used one up cannot spend the next one as well.
     * @returns how many in a row there were, this one included; undefined when it is refused
     */
    async take(row: RowBudget, windows: Windows | undefined): Promise<number | undefined> {
      const parameters = [row.waitSeconds as unknown as string[], row.keptSeconds];
      const { rows } = windows
        ? await prepared<{ attempts: number }>(
            db,
            'attempts-take',
            `WITH ${PARAMETERS}, near AS (${countWindow('')}), around AS (${countWindow('FROM near')})
             ${countRow('around, life')}`,
            [
              ...parameters,
              ...windows.flatMap(({ subject, windowSeconds, limit }) => [
                tenantId,
                subject,
                windowSeconds,
                limit,
              ]),
              tenantId,
              row.subject,
            ],
          )
        : await prepared<{ attempts: number }>(
            db,
            'attempts-take-row',
            `WITH ${PARAMETERS} ${countRow('life')}`,
            [...parameters, tenantId, row.subject],
          );
      return rows[0]?.attempts;
    },

    /** @returns the seconds until the next attempt at each can be made; 0 when it can be made now */
    async waits(
      row: RowBudget,
      windows: Windows | undefined,
    ): Promise<{ row: number; near: number; around: number }> {
      const windowWait = `coalesce((SELECT extract(epoch FROM expires_at - now())::float8 FROM attempt_counters
        WHERE tenant_id = ?::uuid AND id_hash = ${ID} AND expires_at > now() AND attempts >= ?::int), 0)`;
      const { rows } = await prepared<{ row: number; near: number; around: number }>(
        db,
        'attempts-waits',
        `SELECT
           coalesce((SELECT extract(epoch FROM blocked_until - now())::float8 FROM attempt_counters
             WHERE tenant_id = ?::uuid AND id_hash = ${ID} AND expires_at > now() AND blocked_until > now()), 0) AS row,
           ${windowWait} AS near, ${windowWait} AS around`,
        [
          tenantId,
          row.subject,
          ...(windows ?? NO_WINDOWS).flatMap(({ subject, limit }) => [tenantId, subject, limit]),
        ],
      );
      return rows[0] ?? { row: 0, near: 0, around: 0 };
    },

    /** The attempt was good: the row ends, and the windows get their point back. */
    async forget(row: Budget, windows: Windows | undefined): Promise<void> {
      await prepared(
        db,
        'attempts-forget',
        `WITH ${UNHURRIED}, ${GIVE_BACK_WINDOWS}
         DELETE FROM attempt_counters USING done WHERE tenant_id = ?::uuid AND id_hash = ${ID}`,
        [...pointsOf(windows), tenantId, row.subject],
      );
    },

    /** The attempt was not judged after all: all get their point back. */
    async giveBack(row: Budget, windows: Windows | undefined): Promise<void> {
      await prepared(
        db,
        'attempts-give-back',
        `WITH ${UNHURRIED}, ${GIVE_BACK_WINDOWS}
         UPDATE attempt_counters SET attempts = attempts - 1, blocked_until = NULL, updated_at = now() FROM done
          WHERE tenant_id = ?::uuid AND id_hash = ${ID} AND attempts > 0`,
        [...pointsOf(windows), tenantId, row.subject],
      );
    },
  };
}
