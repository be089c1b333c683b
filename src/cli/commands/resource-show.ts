import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { RESOURCE_ARGUMENT, resourceJson, resourceText } from './resource-view.ts';

export function addResourceShow(group: Command, io: CliIo): void {
  group
    .command('show')
    .description('Show a resource.')
    .argument(...RESOURCE_ARGUMENT)
    .addOption(tenantOption())
    .action(async (identifier: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const resource = await services.resources.get(actor, identifier);
        return { json: resourceJson(resource), text: resourceText(resource) };
      });
    });
}
