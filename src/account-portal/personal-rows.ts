import type { Db } from '../db/database.ts';
import { userEvents } from '../events/user-events.ts';
import { PERSONAL_TABLES } from './personal-data.ts';
import type { PersonalTable } from './personal-data.ts';

/** Reads everything that is told of a person, page by page: nobody's history has to fit into memory. */

const PAGE = 500;

interface Owner {
  tenantId: string;
  userId: string;
  email: string;
}

/** @returns JSON in pieces, an object with a list for each table */
export async function* personalData(db: Db, owner: Owner): AsyncGenerator<string> {
  yield '{';
  for (const [index, table] of PERSONAL_TABLES.entries()) {
    yield `${index === 0 ? '' : ','}\n  ${JSON.stringify(table.table)}: [`;
    let isFirst = true;
    const pages = table.table === 'events' ? eventPages(db, owner) : rowPages(db, owner, table);
    for await (const rows of pages) {
      for (const row of rows) {
        yield `${isFirst ? '' : ','}\n    ${JSON.stringify(row)}`;
        isFirst = false;
      }
    }
    yield isFirst ? ']' : '\n  ]';
  }
  yield '\n}';
}

async function* rowPages(
  db: Db,
  owner: Owner,
  { table, where, bindings, columns, key }: PersonalTable,
): AsyncGenerator<Record<string, unknown>[]> {
  let last: unknown;
  do {
    const rows: Record<string, unknown>[] = await db(table)
      .whereRaw(
        where,
        bindings.map((name) => owner[name]),
      )
      .modify((query) => {
        if (key === undefined) return;
        query.select({ page_key: key }).orderBy(key).limit(PAGE);
        if (last !== undefined) query.where(key, '>', last as string);
      })
      .select(...columns);
    last = rows.length === PAGE ? rows.at(-1)?.['page_key'] : undefined;
    yield rows.map(({ page_key: _key, ...row }) => row);
  } while (last !== undefined);
}

/** What the person did and what was done to them, newest first; of others neither who nor where from. */
async function* eventPages(db: Db, { tenantId, userId }: Owner): AsyncGenerator<Record<string, unknown>[]> {
  let before: string | undefined;
  do {
    const events = await userEvents(db, tenantId).list(userId, { before, limit: PAGE });
    before = events.length === PAGE ? events.at(-1)?.id : undefined;
    yield events.map(({ id, type, reason, ip, userAgent, at, byUser }) => ({
      id,
      type,
      reason,
      by_you: byUser,
      ip,
      user_agent: userAgent,
      created_at: at,
    }));
  } while (before !== undefined);
}
