import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { runInSession } from '../session.ts';
import { details } from '../text.ts';
import { tenantJson, tenantText } from './tenant-view.ts';

export function addTenantCreate(group: Command, io: CliIo): void {
  group
    .command('create')
    .description('Make a tenant with its signing keys.')
    .argument('<slug>', 'its name in URLs: lower-case letters, digits and hyphens')
    .option('--name <name>', 'what people see of it; default: the slug')
    .action(async (slug: string, options: { name?: string }, command: Command) => {
      await runInSession(io, command, async ({ services, actor, config }) => {
        const tenant = await services.tenants.create(actor, { slug, name: options.name ?? slug });
        const json = tenantJson(tenant, config.publicUrl);
        return { json, text: `Tenant created.\n\n${details(tenantText(json))}` };
      });
    });
}
