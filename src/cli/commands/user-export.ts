import { Option } from 'commander';
import type { Command } from 'commander';
import type { ImportFormat } from '../../users/transfer/read-records.ts';
import type { ExportResult } from '../../users/transfer/user-export.ts';
import type { CliIo, Report } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { progressBar } from '../progress.ts';
import { runInSession } from '../session.ts';

interface Options {
  format: ImportFormat;
  withPasswordHashes?: boolean;
  resume?: boolean;
}

export function addUserExport(group: Command, io: CliIo): void {
  group
    .command('export')
    .description('Write all users to a file, in the form that `user import` takes.')
    .argument('<file>', 'file to write; it is there when it is complete')
    .addOption(
      new Option('--format <format>', 'JSON Lines or CSV').choices(['jsonl', 'csv']).default('jsonl'),
    )
    .option('--with-password-hashes', 'for an installation that has the same GATEHOUSE_PEPPERS')
    .option('--resume', 'go on with the same export where it was cut off; otherwise it begins anew')
    .addOption(tenantOption())
    .action(async (file: string, options: Options, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const bar = await progressBar(io, 'Exporting');
        const total = await services.userExport.count(actor);
        try {
          const result = await services.userExport.run(actor, {
            file,
            format: options.format,
            withPasswordHashes: options.withPasswordHashes,
            resume: options.resume,
            onProgress: (users) => bar.show(users, Math.min(1, users / Math.max(1, total))),
          });
          return reportOf(result, await services.userExport.count(actor), file, options.format);
        } finally {
          bar.end();
        }
      });
    });
}

function reportOf(
  { users, resumedAt }: ExportResult,
  existing: number,
  file: string,
  format: ImportFormat,
): Report {
  const earlier = resumedAt > 0 ? `, ${resumedAt} of them before it was cut off` : '';
  const difference =
    users === existing ? '' : `\n${existing} exist now: some came or went while it was written.`;
  return {
    json: { users, existing, file, format, ...(resumedAt > 0 ? { resumed_at: resumedAt } : {}) },
    text: `${users} users written to ${file}${earlier}.${difference}`,
  };
}
