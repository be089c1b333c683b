import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { afterOption, limitOption, tenantOption } from '../options.ts';
import type { PageOptions } from '../options.ts';
import { pageReport } from '../page-report.ts';
import { runInSession } from '../session.ts';
import { dateText } from '../text.ts';
import { userJson } from './user-view.ts';

export function addUserList(group: Command, io: CliIo): void {
  group
    .command('list')
    .description('List users, oldest first.')
    .addOption(limitOption())
    .addOption(afterOption())
    .addOption(tenantOption())
    .action(async (options: PageOptions, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const users = await services.users.list(actor, { after: options.after, limit: options.limit });
        return pageReport(options, users, {
          name: 'users',
          json: userJson,
          header: ['ID', 'EMAIL', 'STATUS', 'CREATED'],
          row: (user) => [user.id, user.email, user.status, dateText(user.createdAt)],
        });
      });
    });
}
