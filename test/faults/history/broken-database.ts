import type { Knex } from 'knex';
import * as real from '../../../src/db/database.ts';
import type { Db } from '../../../src/db/database.ts';
import { chosenBrokenAdapter } from './chosen-broken-adapter.ts';

export * from '../../../src/db/database.ts';

/** In the place of src/db/database.ts: tampers with the statements the adapter prepares, and with commits. */
export async function prepared<Row>(
  db: Db,
  name: string,
  sql: string,
  bindings: readonly Knex.RawBinding[],
): Promise<{ rows: Row[]; rowCount: number }> {
  const { tamper } = chosenBrokenAdapter();
  if (!tamper) return real.prepared<Row>(db, name, sql, bindings);
  const { rows, rowCount } = await tamper({ name, sql, bindings }, (statement) =>
    real.prepared(db, statement.name, statement.sql, bindings),
  );
  return { rows: rows as Row[], rowCount };
}

export function createDatabase(options: real.DatabaseOptions): Knex {
  const db = real.createDatabase(options);
  return chosenBrokenAdapter().ignoresCommitErrors ? ignoringCommitErrors(db) : db;
}

/** Whoever begins a transaction gets one whose commit always seems to succeed. */
function ignoringCommitErrors(db: Knex): Knex {
  const begin = async (work?: (trx: Knex.Transaction) => Promise<unknown>): Promise<unknown> => {
    if (work) return db.transaction(work);
    return new Proxy(await db.transaction(), {
      get: (trx, property) =>
        property === 'executionPromise'
          ? trx.executionPromise.catch(() => {})
          : (Reflect.get(trx, property, trx) as unknown),
    });
  };
  return new Proxy(db, {
    get: (target, property) =>
      property === 'transaction' ? begin : (Reflect.get(target, property, target) as unknown),
  });
}
