import type { Command } from 'commander';
import { migrateDown } from '../../db/migrator.ts';
import { UsageError } from '../cli-io.ts';
import type { CliIo } from '../cli-io.ts';
import { printReport, withDatabase } from '../session.ts';

interface Options {
  all?: boolean;
  yes?: boolean;
}

export function addMigrateDown(group: Command, io: CliIo): void {
  group
    .command('down')
    .description('Undo the last migration. The data that it made room for is lost.')
    .option('--all', 'undo all of them, which leaves an empty database')
    .option('--yes', 'do not ask')
    .action(async (options: Options, command: Command) => {
      if (!options.yes) await confirm(io, options);
      const undone = await withDatabase(io, ({ db }) => migrateDown(db, { all: options.all ?? false }));
      printReport(io, command, {
        json: { undone },
        text: undone.length === 0 ? 'There is nothing to undo.' : `Undone:\n  ${undone.join('\n  ')}`,
      });
    });
}

async function confirm({ stdin, stderr }: CliIo, { all }: Options): Promise<void> {
  if (!stdin.isTTY) throw new UsageError('this loses data; confirm it with --yes');
  const prompts = await import('@clack/prompts');
  const message = all
    ? 'Undo all migrations and lose all data?'
    : 'Undo the last migration and lose its data?';
  const answer = await prompts.confirm({ message, initialValue: false, input: stdin, output: stderr });
  if (answer !== true) throw new UsageError('nothing was undone');
}
