/** The embedded database cannot run; the message is for the operator and ends with the way out. */
export class EmbeddedPostgresError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(`${message}. Set DATABASE_URL to use a PostgreSQL server of your own.`, options);
    this.name = 'EmbeddedPostgresError';
  }
}
