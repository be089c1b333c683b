import { connectionWaits, databaseTimeouts, statements } from '../lib/instruments.ts';
import { WaitBudgetSpent } from './wait-budget.ts';

/** What is waited for at the database, told to the metrics. */

export async function measureAcquire<Connection>(acquire: () => Promise<Connection>): Promise<Connection> {
  if (!connectionWaits.isObserved && !databaseTimeouts.isObserved) return acquire();
  const askedAt = performance.now();
  try {
    return await acquire();
  } catch (err) {
    if (isTimeout(err)) databaseTimeouts.record({ kind: 'connection' });
    throw err;
  } finally {
    connectionWaits.record({ seconds: secondsSince(askedAt) });
  }
}

/** The pool's own, or that of the request. */
function isTimeout(err: unknown): boolean {
  return err instanceof WaitBudgetSpent || (err instanceof Error && err.name === 'KnexTimeoutError');
}

/**
 * @param statement one without a name is measured here, by its command; whoever runs prepared ones measures them
 * @returns to be called with what came of it
 */
export function measureStatement({
  name,
  text,
}: {
  name?: string;
  text: string;
}): (err: (Error & { code?: unknown }) | null) => void {
  const sentAt = name === undefined && statements.isObserved ? performance.now() : undefined;
  return (err) => {
    const kind = err && timeoutOf(err);
    if (kind) databaseTimeouts.record({ kind });
    if (sentAt === undefined) return;
    statements.record({ name: commandOf(text), seconds: secondsSince(sentAt), isOk: !err });
  };
}

function secondsSince(startedAt: number): number {
  return (performance.now() - startedAt) / 1000;
}

/** By SQLSTATE; the driver has an error of its own for a server that does not answer. */
function timeoutOf({
  code,
  message,
}: Error & { code?: unknown }): 'lock' | 'statement' | 'answer' | undefined {
  if (code === '55P03') return 'lock';
  if (code === '57014') return 'statement';
  return message === 'Query read timeout' ? 'answer' : undefined;
}

const COMMANDS = new Set([
  'begin',
  'commit',
  'delete',
  'insert',
  'release',
  'rollback',
  'savepoint',
  'select',
  'update',
  'with',
]);

/** Few of them, whatever is asked. */
function commandOf(text: string): string {
  const [word = ''] = /[a-z]+/i.exec(text) ?? [];
  const command = word.toLowerCase();
  return COMMANDS.has(command) ? command : 'other';
}
