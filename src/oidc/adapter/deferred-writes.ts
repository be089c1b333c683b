import type { Knex } from 'knex';
import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import { UNHURRIED } from '../../db/unhurried.ts';
import { sha256 } from '../../lib/ids.ts';

/** A part of one statement; its name stands for its text. */
export interface StatementPart {
  name: string;
  /** Parts of the same `WITH` that it builds on; what they need comes first among the bindings. */
  before?: string | undefined;
  sql: string;
  bindings: readonly Knex.RawBinding[];
  /** In a crash of the database: nobody waits for the disk where all that is written may be. */
  mayBeLost?: boolean;
}

/** The condition of every deferred write. */
export const ALL_HOLD = 'EXISTS (SELECT 1 FROM all_hold)';

/**
 * The writes of a request that locked nothing when it read. They go to the database as one statement, which
 * first looks whether what they build on is still as it was: either all of them happen or none does.
 */
export class DeferredWrites {
  #guards = new Map<string, StatementPart>();
  readonly #writes = new Map<string, StatementPart>();

  /**
   * @param subject what is guarded; the last guard of a subject counts, at the place of its first one, which is
   *   the order in which rows are locked
   * @param guard selects a row while it holds
   */
  guard(subject: string, guard: StatementPart): void {
    this.#guards.set(subject, guard);
  }

  /** The same for a row that everybody locks before all others. */
  guardFirst(subject: string, guard: StatementPart): void {
    this.#guards.delete(subject);
    this.#guards = new Map([[subject, guard], ...this.#guards]);
  }

  /**
   * @param subject what is written; the last write of a subject counts
   * @param write under the condition `ALL_HOLD`
   */
  write(subject: string, write: StatementPart): void {
    this.#writes.set(subject, write);
  }

  /** @returns false when something did not hold any more, and nothing was written */
  async run(db: Db): Promise<boolean> {
    if (this.#writes.size === 0) return true;
    const guards = [...this.#guards.values()];
    const writes = [...this.#writes.values()];
    const holds = guards.map((_, index) => `EXISTS (SELECT 1 FROM guard_${index})`).join(' AND ');
    const isUnhurried = writes.every(({ mayBeLost }) => mayBeLost);
    const parts = [
      ...(isUnhurried ? [UNHURRIED] : []),
      ...guards.map(({ sql }, index) => `guard_${index} AS MATERIALIZED (${sql})`),
      `all_hold AS MATERIALIZED (SELECT 1 ${isUnhurried ? 'FROM unhurried ' : ''}${holds && `WHERE ${holds}`})`,
      ...writes.flatMap(({ before, sql }, index) => [
        ...(before === undefined ? [] : [before]),
        `write_${index} AS (${sql} RETURNING 1)`,
      ]),
    ];

    const { rows } = await prepared<{ written: boolean }>(
      db,
      statementName([writes, guards].map((some) => some.map(({ name }) => name).join(',')).join('|')),
      `WITH ${parts.join(', ')} SELECT ${ALL_HOLD} AS written`,
      [...guards, ...writes].flatMap(({ bindings }) => bindings),
    );
    return rows[0]?.written === true;
  }
}

const statementNames = new Map<string, string>();

/** PostgreSQL ends names at 63 characters. */
const LONGEST_NAME = 63;
const PREFIX = 'oidc_deferred_';

/** What it does, as far as there is room for it; what several processes count must have one name. */
function statementName(all: string): string {
  const known = statementNames.get(all);
  if (known !== undefined) return known;
  const suffix = `~${sha256(all).toString('hex').slice(0, 8)}`;
  const room = LONGEST_NAME - PREFIX.length;
  const name = PREFIX + (all.length <= room ? all : all.slice(0, room - suffix.length) + suffix);
  statementNames.set(all, name);
  return name;
}
