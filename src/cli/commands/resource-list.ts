import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { afterOption, limitOption, tenantOption } from '../options.ts';
import type { PageOptions } from '../options.ts';
import { pageReport } from '../page-report.ts';
import { runInSession } from '../session.ts';
import { resourceJson } from './resource-view.ts';

export function addResourceList(group: Command, io: CliIo): void {
  group
    .command('list')
    .description('List resources, oldest first.')
    .addOption(limitOption())
    .addOption(afterOption())
    .addOption(tenantOption())
    .action(async (options: PageOptions, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const resources = await services.resources.list(actor, {
          after: options.after,
          limit: options.limit,
        });
        return pageReport(options, resources, {
          name: 'resources',
          json: resourceJson,
          header: ['IDENTIFIER', 'NAME', 'TOKENS', 'SCOPES'],
          row: (resource) => [
            resource.identifier,
            resource.name,
            resource.accessTokenFormat,
            resource.scopes.map(({ name }) => name).join(' '),
          ],
        });
      });
    });
}
