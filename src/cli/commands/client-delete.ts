import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { CLIENT_ARGUMENT } from './client-view.ts';

export function addClientDelete(group: Command, io: CliIo): void {
  group
    .command('delete')
    .description('Delete a client. Its grants and tokens end at once; its id is never given out again.')
    .argument(...CLIENT_ARGUMENT)
    .addOption(tenantOption())
    .action(async (clientId: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        await services.clients.delete(actor, clientId);
        return { json: { client_id: clientId, deleted: true }, text: 'Client deleted.' };
      });
    });
}
