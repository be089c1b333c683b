import type { Command } from 'commander';
import { UsageError } from '../cli-io.ts';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { addResourceOptions, readResourceOptions } from './resource-options.ts';
import type { ResourceOptions } from './resource-options.ts';
import { RESOURCE_ARGUMENT, resourceReport } from './resource-view.ts';

export function addResourceUpdate(group: Command, io: CliIo): void {
  const command = group
    .command('update')
    .description('Change a resource. What is not given stays; a list is replaced as a whole.')
    .argument(...RESOURCE_ARGUMENT);
  addResourceOptions(command)
    .option('--clear-scopes', 'Take all scopes out.')
    .option('--clear-introspection-clients', 'Let no client introspect its tokens.')
    .addOption(tenantOption())
    .action(async (identifier: string, options: ResourceOptions, leaf: Command) => {
      const patch = readResourceOptions(options);
      if (Object.values(patch).every((value) => value === undefined)) {
        throw new UsageError('nothing to change was given');
      }
      await runInSession(io, leaf, async ({ services, actor }) =>
        resourceReport('Resource updated.', await services.resources.update(actor, identifier, patch)),
      );
    });
}
