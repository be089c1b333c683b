import { DatabaseError } from 'pg';
import { WaitBudgetSpent } from './wait-budget.ts';

/** Whether the error is a violation of exactly this unique constraint or index. */
export function isUniqueViolation(err: unknown, constraint: string): boolean {
  return err instanceof DatabaseError && err.code === '23505' && err.constraint === constraint;
}

// SQLSTATE classes that say "not now" rather than "this statement is wrong".
const UNAVAILABLE_CLASSES = new Set(['08', '40', '53', '55', '57', '58']);
const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/**
 * Whether the database could not do its work now (down, stalled, full, locked, out of connections),
 * so that the same call may succeed later.
 */
export function isDatabaseUnavailable(err: unknown): boolean {
  if (err instanceof AggregateError) return err.errors.some(isDatabaseUnavailable);
  if (!(err instanceof Error)) return false;
  if (err instanceof DatabaseError)
    return UNAVAILABLE_CLASSES.has(err.code?.slice(0, 2) ?? '') || err.code === '25006';
  if (err.name === 'KnexTimeoutError' || err instanceof WaitBudgetSpent) return true;
  if ('code' in err && typeof err.code === 'string' && NETWORK_CODES.has(err.code)) return true;
  // knex puts the statement in front of the message.
  return /(?:^| - )(Connection terminated|Query read timeout|timeout expired|timeout exceeded when trying to connect|Unable to acquire a connection|Client has encountered a connection error)/.test(
    err.message,
  );
}
