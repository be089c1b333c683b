/** The embedded database cannot run; the message is for the operator and tells the way out. */
export class EmbeddedPostgresError extends Error {
  constructor(message: string, { cause, detail }: { cause?: unknown; detail?: string } = {}) {
    const advice = 'Set DATABASE_URL to use a PostgreSQL server of your own.';
    super([`${message}. ${advice}`, ...(detail ? [detail] : [])].join('\n'), { cause });
    this.name = 'EmbeddedPostgresError';
  }
}
