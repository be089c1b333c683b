import { hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Blocklist } from './password-policy.ts';

/** One in a million passwords is refused although it is not on the list. */
const FALSE_POSITIVES = 1e-6;
const BITS_PER_LINE = -Math.log(FALSE_POSITIVES) / Math.LN2 ** 2;
const PROBES = Math.round(BITS_PER_LINE * Math.LN2);
const NEWLINE = 10;

/**
 * The operator's own list, a password a line. It is held as a Bloom filter of 3.6 MB a million lines, read when the first
 * password is chosen. A list that cannot be read lets no password through.
 * @param path of a text file in UTF-8
 */
export function blocklistFile(path: string): Blocklist {
  let filter: Promise<(text: string) => boolean> | undefined;

  return async (password) => {
    filter ??= readFilter(path);
    try {
      return (await filter)(fold(password)) ? { code: 'password.blocked' } : undefined;
    } catch (err) {
      // The next password tries again.
      filter = undefined;
      throw err;
    }
  };
}

async function readFilter(path: string): Promise<(text: string) => boolean> {
  const size = Math.max(64, Math.ceil((await countLines(path)) * BITS_PER_LINE));
  const bits = new Uint8Array(Math.ceil(size / 8));
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    const entry = fold(line);
    if (entry === '') continue;
    for (const place of placesOf(entry, size))
      bits[place >>> 3] = (bits[place >>> 3] ?? 0) | (1 << (place & 7));
  }
  return (text) => placesOf(text, size).every((place) => ((bits[place >>> 3] ?? 0) >> (place & 7)) & 1);
}

async function countLines(path: string): Promise<number> {
  let lines = 1;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) lines += 1;
  }
  return lines;
}

/** Kirsch and Mitzenmacher: two hashes do for all probes. */
function placesOf(text: string, size: number): number[] {
  const digest = hash('sha1', text, 'buffer');
  const [start, step] = [digest.readUIntLE(0, 6), digest.readUIntLE(6, 4)];
  return Array.from({ length: PROBES }, (_, probe) => (start + probe * step) % size);
}

/** Case and compatibility forms make no password better. */
function fold(text: string): string {
  return text.normalize('NFKC').toLowerCase();
}
