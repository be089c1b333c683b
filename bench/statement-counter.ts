import pg from 'pg';
import type { StatementCounts } from './child-messages.ts';

/**
 * Counts what the process sends to PostgreSQL, at the driver: exact, complete and without an extension in
 * the database. A write outside a transaction is a commit of its own.
 */
export function countStatements(): { start(): void; counts(): StatementCounts } {
  let current: StatementCounts = empty();
  const inTransaction = new WeakSet<object>();
  const { prototype } = pg.Client;
  const original: (...args: unknown[]) => unknown = Reflect.get(prototype, 'query');

  function query(this: object, ...args: unknown[]): unknown {
    const text = textOf(args[0]);
    current.total += 1;
    current.byText[text] = (current.byText[text] ?? 0) + 1;
    if (/^\s*BEGIN/i.test(text)) inTransaction.add(this);
    const ends = /^\s*(COMMIT|ROLLBACK\s*;?\s*$)/i.exec(text);
    if (ends ? /COMMIT/i.test(text) : !inTransaction.has(this) && writes(text)) current.commits += 1;
    if (ends) inTransaction.delete(this);
    return original.apply(this, args);
  }
  Reflect.set(prototype, 'query', query);

  return {
    start() {
      current = empty();
    },
    counts: () => current,
  };
}

function empty(): StatementCounts {
  return { total: 0, commits: 0, byText: {} };
}

function textOf(first: unknown): string {
  if (typeof first === 'string') return first;
  if (typeof first === 'object' && first !== null && 'text' in first) return String(first.text);
  return 'unknown';
}

function writes(text: string): boolean {
  return /\b(insert into|update|delete from)\b/i.test(text) && !/\bfor (no key )?update\b/i.test(text);
}
