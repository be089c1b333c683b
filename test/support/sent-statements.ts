import type { Knex } from 'knex';
import pg from 'pg';

/**
 * What is sent to the database while the work runs, as the driver sends it, in its order. knex's own events
 * tell each of its copies only what it sent itself, and the services have one of their own.
 * @param db only what goes to its database
 */
export async function sentDuring(db: Knex, work: () => Promise<unknown>): Promise<string[]> {
  const { rows } = await db.raw<{ rows: [{ database: string }] }>('SELECT current_database() AS database');
  const [{ database }] = rows;
  const { prototype } = pg.Client;
  const original: (...args: unknown[]) => unknown = Reflect.get(prototype, 'query');
  const sent: string[] = [];

  Reflect.set(prototype, 'query', function query(this: pg.Client, ...args: unknown[]): unknown {
    const [first] = args;
    const text = typeof first === 'object' && first !== null && 'text' in first ? first.text : first;
    if (this.database === database && typeof text === 'string') sent.push(text);
    return original.apply(this, args);
  });
  try {
    await work();
  } finally {
    Reflect.set(prototype, 'query', original);
  }
  return sent;
}
