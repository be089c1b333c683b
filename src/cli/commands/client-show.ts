import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { CLIENT_ARGUMENT, clientJson, clientText } from './client-view.ts';

export function addClientShow(group: Command, io: CliIo): void {
  group
    .command('show')
    .description('Show a client. Of its secrets only the first characters are known.')
    .argument(...CLIENT_ARGUMENT)
    .addOption(tenantOption())
    .action(async (clientId: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const client = await services.clients.get(actor, clientId);
        return { json: clientJson(client), text: clientText(client) };
      });
    });
}
