import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { CLIENT_ARGUMENT, clientReport } from './client-view.ts';

export function addClientDisable(group: Command, io: CliIo): void {
  group
    .command('disable')
    .description('Switch a client off. Its grants and tokens end at once.')
    .argument(...CLIENT_ARGUMENT)
    .addOption(tenantOption())
    .action(async (clientId: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) =>
        clientReport('Client disabled.', { client: await services.clients.disable(actor, clientId) }),
      );
    });
}

export function addClientEnable(group: Command, io: CliIo): void {
  group
    .command('enable')
    .description('Switch a disabled client on again.')
    .argument(...CLIENT_ARGUMENT)
    .addOption(tenantOption())
    .action(async (clientId: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) =>
        clientReport('Client enabled.', { client: await services.clients.enable(actor, clientId) }),
      );
    });
}
