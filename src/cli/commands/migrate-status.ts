import type { Command } from 'commander';
import { migrationStatus } from '../../db/migrator.ts';
import type { CliIo } from '../cli-io.ts';
import { printReport, withDatabase } from '../session.ts';
import { table } from '../text.ts';

export function addMigrateStatus(group: Command, io: CliIo): void {
  group
    .command('status')
    .description('Tell which migrations are applied and which are pending.')
    .action(async (_options: unknown, command: Command) => {
      const { applied, pending } = await withDatabase(io, ({ db }) => migrationStatus(db));
      const rows = [...applied.map((name) => [name, 'applied']), ...pending.map((name) => [name, 'pending'])];
      printReport(io, command, { json: { applied, pending }, text: table(['MIGRATION', 'STATUS'], rows) });
    });
}
