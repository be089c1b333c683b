import { pino, stdSerializers } from 'pino';
import type { Logger } from 'pino';

export type { Logger } from 'pino';

/**
 * JSON lines on standard output. Only fields named at the call are logged, never bodies, headers or
 * whole objects that a secret could hide in; errors keep their type, message, stack and cause.
 */
export function createLogger({ level }: { level: string }): Logger {
  return pino({
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: stdSerializers.errWithCause },
    redact: {
      paths: [
        'err.config',
        'err.bindings',
        'err.parameters',
        '*.password',
        '*.token',
        '*.secret',
        '*.authorization',
      ],
      censor: '[redacted]',
    },
  });
}
