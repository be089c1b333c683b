import { defineErrors } from '../lib/errors.ts';
import { equalSecrets } from '../lib/ids.ts';
import { hmacSha256 } from '../lib/key-ring.ts';

/**
 * Where a list goes on. A cursor is opaque and authenticated, and belongs to one list of one tenant: whoever
 * makes one up reaches no query.
 */
export interface PageCursors {
  write: (list: string, position: string) => string;
  /** @throws {AppError} 400 */
  read: (list: string, cursor: string) => string;
}

const fail = defineErrors('http', {
  invalid_cursor: { status: 400, message: 'This cursor is not one that this list gave out.' },
});

/** @param key 32 bytes, for nothing else */
export function createPageCursors(key: Buffer): PageCursors {
  const write = (list: string, position: string) =>
    `${Buffer.from(position).toString('base64url')}.${hmacSha256(key, list, position).subarray(0, 16).toString('base64url')}`;

  return {
    write,
    read(list, cursor) {
      const position = Buffer.from(cursor.split('.', 1)[0] ?? '', 'base64url').toString();
      if (!equalSecrets(cursor, write(list, position))) throw fail('invalid_cursor');
      return position;
    },
  };
}

/**
 * @param rows one more than the page takes, to know whether there is another one
 * @returns the page and where the next one begins
 */
export function pageOf<Row>(
  rows: readonly Row[],
  limit: number,
  next: (last: Row) => string,
): { items: Row[]; nextCursor: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? next(last) : null };
}
