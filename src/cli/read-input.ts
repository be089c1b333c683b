import { readFile } from 'node:fs/promises';
import { UsageError } from './cli-io.ts';
import type { CliIo } from './cli-io.ts';

/** What comes in beside the arguments: passwords, and JSON that is too long for a flag. */

const MAX_STDIN_BYTES = 1024 * 1024;

/**
 * From the terminal without echo, otherwise the first and only line of standard input. Never from an
 * argument: those are visible to every user of the machine and stay in the shell's history.
 */
export async function readPassword(io: CliIo): Promise<string> {
  if (io.stdin.isTTY) return promptForPassword(io);
  const text = (await readStdin(io)).replace(/\r?\n$/, '');
  if (text === '')
    throw new UsageError('no password was given: pipe it in, or run the command in a terminal');
  if (/[\r\n]/.test(text)) throw new UsageError('the password on standard input has more than one line');
  return text;
}

async function promptForPassword({ stdin, stderr }: CliIo): Promise<string> {
  const { isCancel, password } = await import('@clack/prompts');
  // On standard error: standard output carries the result alone.
  const streams = { input: stdin, output: stderr };
  const first = await password({ message: 'Password', ...streams });
  if (isCancel(first) || !first) throw new UsageError('no password was given');
  const second = await password({ message: 'The same again', ...streams });
  if (isCancel(second)) throw new UsageError('no password was given');
  if (first !== second) throw new UsageError('the two passwords differ');
  return first;
}

/**
 * @param source a JSON object, the name of a file with one, or `-` for standard input
 * @throws {UsageError} when it is none
 */
export async function readJsonObject(
  io: CliIo,
  source: string,
  option: string,
): Promise<Record<string, unknown>> {
  const text = source.trimStart().startsWith('{') ? source : await readSource(io, source, option);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (err) {
    throw new UsageError(
      `${option}: not valid JSON (${err instanceof Error ? err.message : 'unknown error'})`,
    );
  }
  if (!isObject(value)) throw new UsageError(`${option}: must be a JSON object`);
  return value;
}

async function readSource(io: CliIo, source: string, option: string): Promise<string> {
  if (source === '-') return readStdin(io);
  try {
    return await readFile(source, 'utf8');
  } catch (err) {
    const code = err instanceof Error && 'code' in err ? String(err.code) : 'unknown error';
    throw new UsageError(`${option}: cannot read ${source} (${code})`);
  }
}

async function readStdin({ stdin }: CliIo): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > MAX_STDIN_BYTES) throw new UsageError('standard input is too long');
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
