import type { Knex } from 'knex';
import { sentDuring } from './sent-statements.ts';

/** Statements as PostgreSQL gets them while the work runs, each once. */
export async function statementsOf(db: Knex, work: () => Promise<unknown>): Promise<string[]> {
  const texts = new Set(await sentDuring(db, work));
  return [...texts].filter((text) => /^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)/i.test(text));
}

/**
 * Tables the generic plan reads from end to end.
 * @param avoid whether the planner is told to avoid that, for tables so small that it would be right
 */
export async function fullScans(db: Knex, statement: string, avoid: boolean): Promise<string[]> {
  return db.transaction(async (trx) => {
    if (avoid) await trx.raw('SET LOCAL enable_seqscan = off');
    await trx.raw('SET LOCAL plan_cache_mode = force_generic_plan');
    // Escaped, since knex takes question marks for its own.
    await trx.raw(`PREPARE plan_of AS ${statement.replaceAll('?', '\\?')}`);
    const { rows } = await trx.raw(
      "SELECT coalesce(array_length(parameter_types, 1), 0) AS count FROM pg_prepared_statements WHERE name = 'plan_of'",
    );
    const nulls = Array.from({ length: rows[0].count }, () => 'NULL').join(', ');
    const plan = await trx.raw(`EXPLAIN EXECUTE plan_of${nulls ? `(${nulls})` : ''}`);
    await trx.raw('DEALLOCATE plan_of');
    return plan.rows
      .map((row: Record<string, string>) => row['QUERY PLAN'] ?? '')
      .flatMap((line: string) => /Seq Scan on (\w+)/.exec(line)?.[1] ?? []);
  });
}
