import type { Readable, Writable } from 'node:stream';
import type { Environment } from '../load-environment.ts';

/** The process as commands see it. */
export interface CliIo {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable;
  stderr: Writable;
  env: Environment;
}

/** What a command has to say, for a machine and for a person. */
export interface Report {
  /** Member names are a promise; see docs/cli.md. */
  json: unknown;
  text: string;
  /** Printed like any other, but the command ends as failed. */
  failed?: boolean;
}

/** 0: done. 1: refused or failed. 2: the command line itself was wrong. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** The command line was wrong in a way that its grammar cannot tell. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Ends a command that has printed its report already. */
export class CommandFailed extends Error {
  constructor() {
    super('the command failed');
    this.name = 'CommandFailed';
  }
}
