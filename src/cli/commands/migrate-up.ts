import type { Command } from 'commander';
import { migrateUp } from '../../db/migrator.ts';
import type { CliIo } from '../cli-io.ts';
import { printReport, withDatabase } from '../session.ts';

export function addMigrateUp(group: Command, io: CliIo): void {
  group
    .command('up')
    .description('Apply the pending migrations.')
    .action(async (_options: unknown, command: Command) => {
      const applied = await withDatabase(io, ({ db }) => migrateUp(db));
      printReport(io, command, {
        json: { applied },
        text: applied.length === 0 ? 'The schema is current.' : `Applied:\n  ${applied.join('\n  ')}`,
      });
    });
}
