import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { findUser, USER_ARGUMENT, userJson } from './user-view.ts';

export function addUserUnlock(group: Command, io: CliIo): void {
  group
    .command('unlock')
    .description('Forget failed sign-ins, so that a user need not wait before the next one.')
    .argument(...USER_ARGUMENT)
    .addOption(tenantOption())
    .action(async (reference: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const user = await findUser(services, actor, reference);
        await services.signInAttempts.forget(actor, user);
        return { json: userJson(user), text: 'Failed sign-ins forgotten.' };
      });
    });
}
