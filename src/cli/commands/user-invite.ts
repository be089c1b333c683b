import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { details } from '../text.ts';
import { userJson } from './user-view.ts';

export function addUserInvite(group: Command, io: CliIo): void {
  group
    .command('invite')
    .description(
      'Mail somebody a link, good for 7 days, with which they choose a password. Who was invited before gets a new one. A running server sends the mail.',
    )
    .argument('<email>', 'e-mail address of the person')
    .option('--name <name>', 'full name')
    .option('--locale <tag>', "language of the mail; default: the tenant's")
    .addOption(tenantOption())
    .action(async (email: string, options: { name?: string; locale?: string }, command: Command) => {
      await runInSession(io, command, async ({ services, actor, tenant }) => {
        const user = await services.invitations.invite(actor, {
          email,
          locale: options.locale ?? tenant.settings.locale,
          ...(options.name === undefined ? {} : { claims: { name: options.name } }),
        });
        return { json: userJson(user), text: `Invited.\n\n${details(userJson(user))}` };
      });
    });
}
