import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { findUser, USER_ARGUMENT, userJson } from './user-view.ts';

export function addUserUnlock(group: Command, io: CliIo): void {
  group
    .command('unlock')
    .description('Unlock a user, and forget failed sign-ins, so that the next one need not wait.')
    .argument(...USER_ARGUMENT)
    .addOption(tenantOption())
    .action(async (reference: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const { id } = await findUser(services, actor, reference);
        const user = await services.users.unlock(actor, id, { reason: 'administrator' });
        return { json: userJson(user), text: 'User unlocked.' };
      });
    });
}
