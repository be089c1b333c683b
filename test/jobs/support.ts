import { pino, stdSerializers } from 'pino';
import type { Logger } from '../../src/lib/logger.ts';

export interface LogLine {
  level: string;
  msg: string;
  job?: string;
  tenant?: string;
  table?: string;
  removed?: number;
  err?: { message: string };
}

/** A logger whose lines can be read back. */
export function memoryLog(): { log: Logger; lines: () => LogLine[] } {
  const written: string[] = [];
  const log = pino(
    {
      level: 'trace',
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.err },
    },
    { write: (line: string) => written.push(line) },
  );
  return { log, lines: () => written.map((line): LogLine => JSON.parse(line)) };
}
