import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { RESOURCE_ARGUMENT } from './resource-view.ts';

export function addResourceDelete(group: Command, io: CliIo): void {
  group
    .command('delete')
    .description(
      'Delete a resource. No new tokens are issued for it; those that exist live until they expire.',
    )
    .argument(...RESOURCE_ARGUMENT)
    .addOption(tenantOption())
    .action(async (identifier: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        await services.resources.delete(actor, identifier);
        return { json: { identifier, deleted: true }, text: 'Resource deleted.' };
      });
    });
}
