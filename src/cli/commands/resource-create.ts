import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { addResourceOptions, readResourceOptions } from './resource-options.ts';
import type { ResourceOptions } from './resource-options.ts';
import { resourceReport } from './resource-view.ts';

export function addResourceCreate(group: Command, io: CliIo): void {
  const command = group
    .command('create')
    .description('Register an API that tokens are issued for.')
    .argument('<identifier>', 'absolute URI without fragment; the audience of its tokens');
  addResourceOptions(command)
    .addOption(tenantOption())
    .action(async (identifier: string, options: ResourceOptions, leaf: Command) => {
      await runInSession(io, leaf, async ({ services, actor }) =>
        resourceReport(
          'Resource created.',
          await services.resources.create(actor, { ...readResourceOptions(options), identifier }),
        ),
      );
    });
}
