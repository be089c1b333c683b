import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import pg from 'pg';
import type { StatementCounts } from './child-messages.ts';

/**
 * Counts what the process sends to PostgreSQL on behalf of HTTP requests, at the driver: exact, without the
 * background jobs, and without an extension in the database. In place only while it counts, so that what is
 * timed runs unchanged.
 */
export function createStatementCounter(): { start(): void; counts(): StatementCounts } {
  const { prototype } = pg.Client;
  const original: (...args: unknown[]) => unknown = Reflect.get(prototype, 'query');
  const inRequest = new AsyncLocalStorage<true>();
  const inTransaction = new WeakSet<object>();
  let current: StatementCounts = empty();

  const enterRequest = () => inRequest.enterWith(true);

  function count(connection: object, text: string): void {
    current.total += 1;
    current.byText[text] = (current.byText[text] ?? 0) + 1;
    if (/^\s*BEGIN/i.test(text)) inTransaction.add(connection);
    const ends = /^\s*(COMMIT|ROLLBACK\s*;?\s*$)/i.exec(text);
    // A write outside a transaction is a commit of its own.
    if (ends ? /COMMIT/i.test(text) : !inTransaction.has(connection) && writes(text)) current.commits += 1;
    if (ends) inTransaction.delete(connection);
  }

  return {
    start() {
      current = empty();
      subscribe('http.server.request.start', enterRequest);
      Reflect.set(prototype, 'query', function query(this: object, ...args: unknown[]): unknown {
        if (inRequest.getStore()) count(this, textOf(args[0]));
        return original.apply(this, args);
      });
    },

    counts() {
      Reflect.set(prototype, 'query', original);
      unsubscribe('http.server.request.start', enterRequest);
      return current;
    },
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
  return /\b(insert into|update|delete from)\b/i.test(text.replaceAll(/\bfor (no key )?update\b/gi, ''));
}
