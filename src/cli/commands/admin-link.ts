import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { dateText } from '../text.ts';

export function addAdminLink(group: Command, io: CliIo): void {
  group
    .command('link')
    .description('Make a single-use link to set up an administrator. Older links end.')
    .addOption(tenantOption())
    .action(async (_options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const { url, expiresAt } = await services.setup.issueLink(actor);
        return {
          json: { url, expires_at: expiresAt },
          text: `${url}\n\nWorks once, until ${dateText(expiresAt)}. Whoever opens it becomes an administrator.`,
        };
      });
    });
}
