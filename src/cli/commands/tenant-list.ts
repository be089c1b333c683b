import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { runInSession } from '../session.ts';
import { table } from '../text.ts';
import { tenantJson } from './tenant-view.ts';

export function addTenantList(group: Command, io: CliIo): void {
  group
    .command('list')
    .description('List tenants, oldest first.')
    .action(async (_options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, config }) => {
        const tenants = (await services.tenants.list()).map((tenant) => tenantJson(tenant, config.publicUrl));
        return {
          json: { tenants },
          text: table(
            ['SLUG', 'NAME', 'STATUS', 'ISSUER'],
            tenants.map(({ slug, name, status, issuer }) => [slug, name, status, issuer]),
          ),
        };
      });
    });
}
