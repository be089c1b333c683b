import { fromCells } from './import-row.ts';
import type { ImportFault } from './import-row.ts';
import { fromCell } from './spreadsheet-cells.ts';

/** A file of users as a stream of records. What cannot be read is a record too: one that failed. */

export type ImportFormat = 'jsonl' | 'csv';

export type ImportRecord = { line: number } & ({ value: unknown } | { fault: ImportFault });

const LONGEST_RECORD = 65_536;
const NEWLINE = 10;

export function readRecords(
  source: AsyncIterable<Uint8Array>,
  format: ImportFormat,
): AsyncGenerator<ImportRecord> {
  return format === 'csv' ? readCsv(source) : readJsonLines(source);
}

async function* readJsonLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<ImportRecord> {
  let line = 1;
  let pending: Buffer[] = [];
  let length = 0;
  const take = (last: Buffer): ImportRecord | undefined => {
    const isTooLong = length + last.length > LONGEST_RECORD;
    const record = isTooLong
      ? faulty(line, `The line is longer than ${LONGEST_RECORD} bytes.`)
      : parseLine(Buffer.concat([...pending, last]), line);
    pending = [];
    length = 0;
    line += 1;
    return record;
  };

  for await (const chunk of source) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let at = rest.indexOf(NEWLINE); at !== -1; at = rest.indexOf(NEWLINE)) {
      const record = take(rest.subarray(0, at));
      if (record) yield record;
      rest = rest.subarray(at + 1);
    }
    length += rest.length;
    // Of a line that is too long only its length matters.
    if (length <= LONGEST_RECORD) pending.push(rest);
    else pending = [];
  }
  const record = take(Buffer.alloc(0));
  if (record) yield record;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseLine(bytes: Buffer, line: number): ImportRecord | undefined {
  try {
    const text = utf8.decode(bytes).trim();
    return text === '' ? undefined : { line, value: JSON.parse(text) };
  } catch (err) {
    return faulty(line, err instanceof SyntaxError ? 'The line is not JSON.' : 'The line is not UTF-8.');
  }
}

async function* readCsv(source: AsyncIterable<Uint8Array>): AsyncGenerator<ImportRecord> {
  const records: ImportRecord[] = [];
  const { Parser } = await import('csv-parse');
  const parser = new Parser({
    bom: true,
    columns: true,
    max_record_size: LONGEST_RECORD,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_record(cells: unknown, { lines }) {
      // With `columns` a record is an object of texts, which the types do not know here.
      const texts = Object.entries(cells as Record<string, string>).map(([name, cell]) => [
        name,
        fromCell(cell),
      ]);
      records.push({ line: lines, value: fromCells(Object.fromEntries(texts)) });
      return undefined;
    },
    on_skip(err) {
      const line = err && 'lines' in err ? Number(err['lines']) : 0;
      records.push(faulty(line, 'The line has quotes or a number of cells that do not fit.'));
      return undefined;
    },
  });
  // Records come through the callbacks; what comes out of the stream is nothing.
  parser.resume();
  const { promise: failed, reject } = Promise.withResolvers<never>();
  parser.once('error', reject);
  failed.catch(() => {});

  for await (const chunk of source) {
    await Promise.race([failed, new Promise((resolve) => parser.write(chunk, resolve))]);
    yield* records.splice(0);
  }
  await Promise.race([failed, new Promise<void>((resolve) => parser.end(resolve))]);
  yield* records.splice(0);
}

function faulty(line: number, message: string): ImportRecord {
  return { line, fault: { code: 'import.line_invalid', message } };
}
