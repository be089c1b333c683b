import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { ImportFormat } from '../../users/transfer/read-records.ts';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { progressBar } from '../progress.ts';
import { runInSession } from '../session.ts';

interface Options {
  format: ImportFormat;
  withPasswordHashes?: boolean;
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
    .addOption(tenantOption())
    .action(async (file: string, { format, withPasswordHashes }: Options, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const bar = await progressBar(io, 'Exporting');
        let users = 0;
        const total = await services.userExport.count(actor);
        const text = services.userExport.run(actor, {
          format,
          withPasswordHashes,
          onProgress(count) {
            users = count;
            bar.show(count, Math.min(1, count / Math.max(1, total)));
          },
        });
        try {
          const partial = `${file}.partial`;
          // For its owner alone: it holds everybody's data.
          await pipeline(Readable.from(text), createWriteStream(partial, { mode: 0o600 }));
          await rename(partial, file);
        } finally {
          bar.end();
        }
        const existing = await services.userExport.count(actor);
        const difference =
          users === existing ? '' : `\n${existing} exist now: some came or went while it was written.`;
        return {
          json: { users, existing, file, format },
          text: `${users} users written to ${file}.${difference}`,
        };
      });
    });
}
