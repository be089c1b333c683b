import { CommanderError } from 'commander';
import { DatabaseError } from 'pg';
import { ConfigError } from '../config.ts';
import { isDatabaseUnavailable } from '../db/database-errors.ts';
import { EmbeddedPostgresError } from '../db/embedded/embedded-postgres-error.ts';
import { AppError } from '../lib/errors.ts';
import type { FieldError } from '../lib/errors.ts';
import type { Environment } from '../load-environment.ts';
import { EXIT, UsageError } from './cli-io.ts';

interface Failure {
  exitCode: number;
  code: string;
  message: string;
  errors: readonly FieldError[];
  /** Only where the operator asked for it. */
  stack?: string | undefined;
}

/** One clear sentence for whatever went wrong, and what to do about it where that is known. */
export function describeFailure(err: unknown, env: Environment): Failure {
  if (err instanceof CommanderError) {
    const message = err.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
    return { exitCode: EXIT.usage, code: 'usage', message, errors: [] };
  }
  if (err instanceof UsageError)
    return { exitCode: EXIT.usage, code: 'usage', message: err.message, errors: [] };

  const stack = isDebugging(env) && err instanceof Error ? err.stack : undefined;
  return { exitCode: EXIT.failed, errors: [], ...refusalOf(err), stack };
}

function refusalOf(err: unknown): Pick<Failure, 'code' | 'message'> & Partial<Failure> {
  if (err instanceof AppError) {
    // What a visitor must not read is the operator's to know.
    const cause = err.status >= 500 && err.cause instanceof Error ? ` ${reasonOf(err.cause)}` : '';
    return { code: err.code, message: err.message + cause, errors: err.errors };
  }
  if (err instanceof ConfigError) {
    const errors = err.faults.map((message) => ({ path: '', message }));
    return { code: 'config.invalid', message: 'the configuration has faults', errors };
  }
  if (err instanceof EmbeddedPostgresError) return { code: 'database.unavailable', message: err.message };
  if (err instanceof DatabaseError && /^(28|3D)/.test(err.code ?? '')) {
    return { code: 'database.refused', message: `the database refuses the connection: ${err.message}` };
  }
  if (isDatabaseUnavailable(err)) {
    return { code: 'database.unavailable', message: `the database cannot be used now: ${reasonOf(err)}` };
  }
  return {
    code: 'internal',
    message: `unexpected failure: ${reasonOf(err)}; LOG_LEVEL=debug shows where`,
  };
}

function reasonOf(err: unknown): string {
  // Node reports a refused connection of a name with several addresses as one error without a message.
  if (err instanceof AggregateError) return reasonOf(err.errors[0]);
  const message = err instanceof Error ? err.message : 'unknown error';
  // The query builder puts the statement in front.
  return err instanceof DatabaseError ? (message.split(' - ').at(-1) ?? message) : message;
}

function isDebugging(env: Environment): boolean {
  return env['LOG_LEVEL'] === 'debug' || env['LOG_LEVEL'] === 'trace';
}
