import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { keysReport } from './keys-view.ts';

export function addKeysList(group: Command, io: CliIo): void {
  group
    .command('list')
    .description('List signing keys, oldest first, with those that are gone.')
    .addOption(tenantOption())
    .action(async (_options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, tenant }) =>
        keysReport(await services.keys.list(tenant.id)),
      );
    });
}
