import type { Knex } from 'knex';
import type { Db } from './database.ts';

/**
 * Calls `react` once what `db` wrote is there for everybody: after the commit of the outermost transaction,
 * or now where there is none. After a rollback, or when the commit's answer is lost, it is not called.
 */
export function afterCommit(db: Db, react: () => void): void {
  if (db.isTransaction) {
    const { executionPromise } = outermost(db as Knex.Transaction);
    executionPromise.then(
      () => react(),
      () => {},
    );
  } else react();
}

/** A transaction within another is a savepoint, whose end makes nothing visible. */
function outermost(trx: Knex.Transaction): Knex.Transaction {
  return trx.parentTransaction ? outermost(trx.parentTransaction) : trx;
}
