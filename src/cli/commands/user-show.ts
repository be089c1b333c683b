import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { details } from '../text.ts';
import { findUser, USER_ARGUMENT, userJson } from './user-view.ts';

export function addUserShow(group: Command, io: CliIo): void {
  group
    .command('show')
    .description('Show a user with the claims of the profile.')
    .argument(...USER_ARGUMENT)
    .addOption(tenantOption())
    .action(async (reference: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const { id } = await findUser(services, actor, reference);
        const { user, profile } = await services.users.getWithProfile(actor, id);
        return {
          json: { ...userJson(user), claims: profile.claims },
          text: details({ ...userJson(user), ...profile.claims }),
        };
      });
    });
}
