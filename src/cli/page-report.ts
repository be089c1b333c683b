import type { Report } from './cli-io.ts';
import { table } from './text.ts';

interface PageView<Entry> {
  /** The member of the JSON. */
  name: string;
  json: (entry: Entry) => unknown;
  header: readonly string[];
  row: (entry: Entry) => readonly string[];
}

/** A page of a list; `next` is there when the page is full, so that there may be more. */
export function pageReport<Entry extends { id: string }>(
  { limit }: { limit: number },
  entries: readonly Entry[],
  { name, json, header, row }: PageView<Entry>,
): Report {
  const next = entries.length === limit ? (entries.at(-1)?.id ?? null) : null;
  const more = next === null ? '' : `\n\nThere may be more: --after ${next}`;
  return {
    json: { [name]: entries.map(json), next },
    text: entries.length === 0 ? `No ${name}.` : table(header, entries.map(row)) + more,
  };
}
