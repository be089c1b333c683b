import { destination as openDestination, pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type { Logger } from 'pino';

/**
 * JSON lines on standard output. Only fields named at the call are logged, never bodies, headers or
 * whole objects that a secret could hide in; errors keep what `describe` names and nothing else.
 */
export function createLogger({
  level,
  destination,
}: {
  level: string;
  destination?: DestinationStream;
}): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: timestamps(),
      formatters: { level: (label) => ({ level: label }), log: censorNested },
      serializers: { err: (err: unknown) => describe(err) },
      redact: { paths: [...SECRET_NAMES], censor: CENSORED },
    },
    destination,
  );
}

/** As text that is made once a millisecond: of a busy server's lines, it would be a third of what each costs. */
function timestamps(): () => string {
  let madeAt = Number.NaN;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== madeAt) {
      madeAt = now;
      text = `,"time":"${new Date(now).toISOString()}"`;
    }
    return text;
  };
}

/**
 * Standard output, written in blocks: a write for each line would cost a busy server more than making the
 * line. Lines are at most a quarter of a second late and leave before the process ends. Several processes
 * may share it: up to 4 KiB a pipe takes whole (POSIX, PIPE_BUF), and a block ends with a line.
 */
export function bufferedOutput(): DestinationStream {
  return openDestination({ dest: 1, sync: false, minLength: 2048, maxWrite: 4096, periodicFlush: 250 });
}

// A second net only: what is logged is chosen at the call.
const SECRET_NAMES = new Set(['password', 'token', 'secret', 'authorization', 'cookie']);
const CENSORED = '[redacted]';

/** One level down. pino's own wildcards look at every field of every line, which doubles what a line costs. */
function censorNested(fields: Record<string, unknown>): Record<string, unknown> {
  let censored: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value !== 'object' || value === null || value instanceof Error) continue;
    if (!Object.keys(value).some((inner) => SECRET_NAMES.has(inner))) continue;
    censored ??= { ...fields };
    censored[name] = Object.fromEntries(
      Object.entries(value).map(([inner, held]) => [inner, SECRET_NAMES.has(inner) ? CENSORED : held]),
    );
  }
  return censored ?? fields;
}

// Of errors by Node, PostgreSQL, HTTP libraries and ours. PostgreSQL's `detail` and `where` quote the row's
// values; parsers attach the body they could not read, HTTP clients the request with its credentials.
const ERROR_FIELDS = ['code', 'status', 'reason', 'syscall', 'severity', 'constraint', 'table', 'column'];
const MAX_CAUSES = 8;

function describe(err: unknown, depth = 0): object {
  if (!(err instanceof Error)) return { type: typeof err };
  const fields: Record<string, unknown> = {
    type: err.constructor.name,
    message: err.message,
    stack: err.stack,
  };
  for (const name of ERROR_FIELDS) {
    const value: unknown = Reflect.get(err, name);
    if (typeof value === 'string' || typeof value === 'number') fields[name] = value;
  }
  if (depth < MAX_CAUSES) {
    if (err.cause !== undefined) fields['cause'] = describe(err.cause, depth + 1);
    if (err instanceof AggregateError) {
      fields['errors'] = err.errors.slice(0, MAX_CAUSES).map((inner: unknown) => describe(inner, MAX_CAUSES));
    }
  }
  return fields;
}
