import { LRUCache } from 'lru-cache';
import { prepared } from './database.ts';
import type { Db } from './database.ts';
import { withinWaitBudget, withoutWaitBudget } from './wait-budget.ts';

/**
 * Reads of one row each, sent together (docs/adr/0016): who asks within the same turn of the event loop, or while the
 * database is busy with those before, shares one statement, and the round trip that costs more than all else
 * about such a read. Nobody gets an answer older than the question: a statement leaves after everybody in it
 * has asked, so what was committed before is seen, whichever process committed it.
 */

/** A statement that finds at most one row for a hash, and returns the hash in the column `id_hash`. */
export interface RowRead {
  /** Of the prepared statement; the same name always means the same text. */
  name: string;
  /** @param hash what the hash's column is equal to; the tenant's placeholder comes after it */
  sql: (hash: '?' | 'asked.hash') => string;
  tenantId: string;
  idHash: Buffer;
}

/**
 * The same for many hashes, each looked up by itself and in the same way, whatever the planner thinks of the tables.
 * Compared with an array, PostgreSQL before 17 would keep to a plan that it made when the table was almost empty, and
 * read all of a tenant's rows.
 */
export function forEachHash(sql: RowRead['sql']): string {
  return `SELECT found.* FROM unnest(?::bytea[]) AS asked (hash) CROSS JOIN LATERAL (${sql('asked.hash')} OFFSET 0) found`;
}

interface Keyed {
  id_hash: Buffer;
}

interface Question {
  idHash: Buffer;
  answer: PromiseWithResolvers<Keyed | undefined>;
}

interface Queue {
  read: RowRead;
  /** By the hash: two who ask for the same row get the same one. */
  waiting: Map<string, Question>;
  underWay: number;
  isScheduled: boolean;
}

/** Two, so that the database has the next statement when it has answered one. */
const MOST_UNDER_WAY = 2;
const MOST_AT_ONCE = 64;

/** Kinds of reads times tenants; one that is forgotten while it is busy finishes alone. */
const MOST_QUEUES = 1_000;

const queues = new WeakMap<Db, LRUCache<string, Queue>>();

/**
 * @param db within a transaction the read is alone, on the transaction's connection
 * @returns the row, which others may have as well: not to be changed
 */
export async function findShared<Row extends Keyed>(db: Db, read: RowRead): Promise<Row | undefined> {
  if (db.isTransaction) return readOne<Row>(db, read);
  const queue = queueOf(db, read);
  const key = read.idHash.toString('latin1');
  let question = queue.waiting.get(key);
  if (!question) {
    question = newQuestion(read.idHash);
    queue.waiting.set(key, question);
    schedule(db, queue);
  }
  const { promise } = question.answer;
  // Each waits as long as its own request may. The name of the statement says which rows it has.
  return (await withinWaitBudget(() => promise)) as Row | undefined;
}

function newQuestion(idHash: Buffer): Question {
  const answer = Promise.withResolvers<Keyed | undefined>();
  // Everybody who asked may have given up by the time it fails.
  answer.promise.catch(() => {});
  return { idHash, answer };
}

function queueOf(db: Db, read: RowRead): Queue {
  let ofDb = queues.get(db);
  if (!ofDb) queues.set(db, (ofDb = new LRUCache<string, Queue>({ max: MOST_QUEUES })));
  const key = `${read.name} ${read.tenantId}`;
  let queue = ofDb.get(key);
  if (!queue) {
    queue = { read, waiting: new Map(), underWay: 0, isScheduled: false };
    ofDb.set(key, queue);
  }
  return queue;
}

function schedule(db: Db, queue: Queue): void {
  if (queue.isScheduled || queue.underWay >= MOST_UNDER_WAY) return;
  queue.isScheduled = true;
  setImmediate(() => {
    queue.isScheduled = false;
    void ask(db, queue);
  });
}

async function ask(db: Db, queue: Queue): Promise<void> {
  const questions = [...queue.waiting];
  const later = questions.splice(MOST_AT_ONCE);
  if (questions.length === 0) return;
  // A new one each time: see src/lib/attendance.ts.
  queue.waiting = new Map(later);
  queue.underWay += 1;
  if (queue.waiting.size > 0) schedule(db, queue);

  try {
    const rows = await readAll(db, queue.read, questions);
    for (const [key, { answer }] of questions) answer.resolve(rows.get(key));
  } catch (err) {
    for (const [, { answer }] of questions) answer.reject(err);
  } finally {
    queue.underWay -= 1;
    if (queue.waiting.size > 0) schedule(db, queue);
  }
}

async function readAll(
  db: Db,
  read: RowRead,
  questions: readonly [key: string, question: Question][],
): Promise<Map<string, Keyed>> {
  const [first] = questions;
  if (first && questions.length === 1) {
    const [key, { idHash }] = first;
    const row = await withoutWaitBudget(() => readOne<Keyed>(db, { ...read, idHash }));
    return new Map(row && [[key, row]]);
  }
  const hashes = questions.map(([, { idHash }]) => idHash);
  const { rows } = await withoutWaitBudget(() =>
    prepared<Keyed>(db, `${read.name}_many`, forEachHash(read.sql), [hashes, read.tenantId]),
  );
  return new Map(rows.map((row) => [row.id_hash.toString('latin1'), row]));
}

async function readOne<Row>(db: Db, { name, sql, tenantId, idHash }: RowRead): Promise<Row | undefined> {
  const { rows } = await prepared<Row>(db, name, sql('?'), [idHash, tenantId]);
  return rows[0];
}
