import { isId } from '../../lib/ids.ts';
import type { ImportFormat } from './read-records.ts';

/** What an export that was cut off has left behind, as far as it is whole. */
export interface WrittenPart {
  users: number;
  /** The length of the part: a half-written record may follow. */
  bytes: number;
  lastId: string | undefined;
}

/** A record of the file, its terminator included. */
interface WrittenRecord {
  id: unknown;
  /** Where it ends: bytes from the beginning of the file. */
  end: number;
}

const NEWLINE = 10;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads an unfinished export up to the first record that is not as the export writes them: cut off, damaged, or out of
 * the order of the ids. A machine that lost its power can leave such records within a file, so all are looked at.
 *
 * @param columns of CSV, the id first
 */
export async function findWrittenPart(
  source: AsyncIterable<Uint8Array>,
  format: ImportFormat,
  columns: readonly string[],
): Promise<WrittenPart> {
  const part: WrittenPart = { users: 0, bytes: 0, lastId: undefined };
  for await (const { id, end } of format === 'csv' ? csvRecords(source, columns) : jsonRecords(source)) {
    if (typeof id !== 'string' || !isId(id) || id <= (part.lastId ?? '')) break;
    part.users += 1;
    part.bytes = end;
    part.lastId = id;
  }
  return part;
}

async function* jsonRecords(source: AsyncIterable<Uint8Array>): AsyncGenerator<WrittenRecord> {
  let end = 0;
  let rest = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = Buffer.concat([rest, chunk]);
    for (let at = rest.indexOf(NEWLINE); at !== -1; at = rest.indexOf(NEWLINE)) {
      end += at + 1;
      yield { id: idOf(rest.subarray(0, at)), end };
      rest = rest.subarray(at + 1);
    }
  }
}

function idOf(line: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(line)).id;
  } catch {
    return undefined;
  }
}

async function* csvRecords(
  source: AsyncIterable<Uint8Array>,
  columns: readonly string[],
): AsyncGenerator<WrittenRecord> {
  const records: WrittenRecord[] = [];
  let isHeader = true;
  const { Parser } = await import('csv-parse');
  const parser = new Parser({
    record_delimiter: '\r\n',
    on_record(cells: string[], { bytes }) {
      if (isHeader) {
        isHeader = false;
        if (cells.join(',') !== columns.join(',')) throw new Error('not the header of this export');
      } else
        records.push({ id: cells.some((cell) => cell.includes('\0')) ? undefined : cells[0], end: bytes });
      return undefined;
    },
  });
  // Records come through the callback; what comes out of the stream is nothing.
  parser.resume();
  // The callback of `write` gets it, too.
  parser.on('error', () => {});
  const feed = (chunk: Uint8Array | string) =>
    new Promise<unknown>((resolve) => parser.write(chunk, resolve));
  for await (const chunk of source) {
    const err = await feed(chunk);
    yield* records.splice(0);
    if (err) return;
  }
  // The parser is never told of the end: it would take what comes after the last terminator for a record. But it wants
  // to see a little of what follows.
  await feed(' '.repeat(8));
  yield* records;
}
