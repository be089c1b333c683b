import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { CLIENT_ARGUMENT, clientReport } from './client-view.ts';

export function addClientRevokeSecret(group: Command, io: CliIo): void {
  group
    .command('revoke-secret')
    .description("End one of a client's secrets at once.")
    .argument(...CLIENT_ARGUMENT)
    .argument('<hint>', 'its first six characters, as `client show` prints them')
    .addOption(tenantOption())
    .action(async (clientId: string, hint: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) =>
        clientReport('Secret revoked.', {
          client: await services.clients.revokeSecret(actor, clientId, hint),
        }),
      );
    });
}
