import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { keysReport } from './keys-view.ts';

export function addKeysRevoke(group: Command, io: CliIo): void {
  group
    .command('revoke')
    .description(
      'Withdraw a key that may have leaked. Nothing it signed verifies any more; the next key takes its place.',
    )
    .argument('<kid>', 'the key id; after -- where it begins with -')
    .addOption(tenantOption())
    .action(async (kid: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, tenant, actor }) => {
        await services.keys.revoke(actor, kid);
        return keysReport(await services.keys.list(tenant.id), 'Key revoked.');
      });
    });
}
