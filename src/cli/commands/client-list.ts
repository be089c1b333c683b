import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { afterOption, limitOption, tenantOption } from '../options.ts';
import type { PageOptions } from '../options.ts';
import { pageReport } from '../page-report.ts';
import { runInSession } from '../session.ts';
import { dateText } from '../text.ts';
import { clientJson } from './client-view.ts';

export function addClientList(group: Command, io: CliIo): void {
  group
    .command('list')
    .description('List clients, oldest first.')
    .addOption(limitOption())
    .addOption(afterOption())
    .addOption(tenantOption())
    .action(async (options: PageOptions, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const clients = await services.clients.list(actor, { after: options.after, limit: options.limit });
        return pageReport(options, clients, {
          name: 'clients',
          json: clientJson,
          header: ['CLIENT ID', 'NAME', 'STATUS', 'GRANTS', 'AUTHENTICATION', 'CREATED'],
          row: (client) => [
            client.clientId,
            client.name,
            client.disabledAt ? 'disabled' : 'active',
            client.metadata.grant_types.join(' '),
            client.metadata.token_endpoint_auth_method,
            dateText(client.createdAt),
          ],
        });
      });
    });
}
