import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { ImportFormat } from '../../users/transfer/read-records.ts';
import type { ImportResult } from '../../users/transfer/user-import.ts';
import { UsageError } from '../cli-io.ts';
import type { CliIo, Report } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { progressBar } from '../progress.ts';
import { runInSession } from '../session.ts';
import { details } from '../text.ts';

interface Options {
  format?: ImportFormat;
  dryRun?: boolean;
  update?: boolean;
  emailVerified?: boolean;
  errors?: string;
}

export function addUserImport(group: Command, io: CliIo): void {
  group
    .command('import')
    .description(
      'Bring in users from a file, with the password hashes they have. Started again after an interruption it goes on where it ended. Exit code 1 when some failed.',
    )
    .argument('<file>', 'JSON Lines (.jsonl) or CSV (.csv); see docs/import-export.md')
    .addOption(new Option('--format <format>', 'instead of what the name ends in').choices(['jsonl', 'csv']))
    .option('--dry-run', 'say what would happen, and change nothing')
    .option('--update', 'add to users who exist; otherwise they are skipped')
    .option('--email-verified', 'all addresses are known to be theirs')
    .option('--errors <file>', 'where the rows that failed are listed (default: <file>.errors.jsonl)')
    .addOption(tenantOption())
    .action(async (file: string, options: Options, command: Command) => {
      const format = options.format ?? formatOf(file);
      const size = await sizeOf(file);
      await runInSession(io, command, async ({ services, actor }) => {
        const bar = await progressBar(io, options.dryRun ? 'Trying it out' : 'Importing');
        const request = {
          open: () => createReadStream(file),
          format,
          update: options.update,
          emailVerified: options.emailVerified,
          onProgress: ({ records, bytes }: { records: number; bytes: number }) =>
            bar.show(records, bytes / size),
        };
        try {
          const result = options.dryRun
            ? await services.userImport.rehearse(actor, request)
            : await services.userImport.run(actor, request);
          return await reportOf(result, options.errors ?? `${file}.errors.jsonl`);
        } finally {
          bar.end();
        }
      });
    });
}

async function reportOf(result: ImportResult, errorsFile: string): Promise<Report> {
  const { counts, read, resumedAt, jobId } = result;
  const failed = counts.failed > 0;
  if (failed)
    await pipeline(Readable.from(faultLines(result)), createWriteStream(errorsFile, { mode: 0o600 }));
  const told = {
    job: jobId ?? null,
    read,
    ...counts,
    ...(resumedAt > 0 ? { resumed_at: resumedAt } : {}),
    ...(failed ? { errors_file: errorsFile } : {}),
  };
  const title = jobId === undefined ? 'Nothing was changed. An import would end so:' : 'Import done.';
  return { json: told, text: `${title}\n\n${details(told)}`, failed };
}

async function* faultLines({ faults }: ImportResult): AsyncGenerator<string> {
  for await (const { line, code, message } of faults()) yield `${JSON.stringify({ line, code, message })}\n`;
}

function formatOf(file: string): ImportFormat {
  if (/\.(jsonl|ndjson)$/i.test(file)) return 'jsonl';
  if (/\.csv$/i.test(file)) return 'csv';
  throw new UsageError('say what the file is: --format jsonl or --format csv');
}

async function sizeOf(file: string): Promise<number> {
  try {
    const found = await stat(file);
    // It is read twice, and again after an interruption.
    if (!found.isFile()) throw new UsageError(`${file} is not a file`);
    return Math.max(1, found.size);
  } catch (err) {
    if (err instanceof UsageError) throw err;
    const code = err instanceof Error && 'code' in err ? String(err.code) : 'unknown error';
    throw new UsageError(`cannot read ${file} (${code})`);
  }
}
