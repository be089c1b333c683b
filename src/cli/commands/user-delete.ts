import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { findUser, USER_ARGUMENT, userJson } from './user-view.ts';

export function addUserDelete(group: Command, io: CliIo): void {
  group
    .command('delete')
    .description(
      'Delete a user. Sessions and grants end at once; profile and password are erased after GATEHOUSE_USER_ERASE_DAYS.',
    )
    .argument(...USER_ARGUMENT)
    .option('--erase', 'erase everything now; it cannot be restored')
    .addOption(tenantOption())
    .action(async (reference: string, options: { erase?: boolean }, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const { id } = await findUser(services, actor, reference);
        await services.users.delete(actor, id);
        if (options.erase) await services.users.erase(actor, id);
        return {
          json: { id, deleted: true, erased: options.erase === true },
          text: options.erase
            ? 'User deleted and erased.'
            : `User deleted. \`gatehouse user restore ${id}\` takes it back.`,
        };
      });
    });
}

export function addUserRestore(group: Command, io: CliIo): void {
  group
    .command('restore')
    .description('Take back the deletion of a user who is not erased yet. The user is disabled then.')
    .argument('<id>', 'id of the deleted user')
    .addOption(tenantOption())
    .action(async (id: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const user = await services.users.restore(actor, id);
        return { json: userJson(user), text: 'User restored, and disabled until `gatehouse user enable`.' };
      });
    });
}
