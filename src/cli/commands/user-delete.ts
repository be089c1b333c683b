import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { findUser, USER_ARGUMENT } from './user-view.ts';

export function addUserDelete(group: Command, io: CliIo): void {
  group
    .command('delete')
    .description('Delete a user with password, profile, sessions and grants.')
    .argument(...USER_ARGUMENT)
    .addOption(tenantOption())
    .action(async (reference: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const { id } = await findUser(services, actor, reference);
        await services.users.delete(actor, id);
        return { json: { id, deleted: true }, text: 'User deleted.' };
      });
    });
}
