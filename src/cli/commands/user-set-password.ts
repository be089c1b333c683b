import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { readPassword } from '../read-input.ts';
import { runInSession } from '../session.ts';
import { findUser, USER_ARGUMENT, userJson } from './user-view.ts';

export function addUserSetPassword(group: Command, io: CliIo): void {
  group
    .command('set-password')
    .description(
      'Give a user a temporary password, asked for or read from standard input. At the next sign-in the user chooses their own. Sessions and grants of the user end.',
    )
    .argument(...USER_ARGUMENT)
    .addOption(tenantOption())
    .action(async (reference: string, _options: unknown, command: Command) => {
      const password = await readPassword(io);
      await runInSession(io, command, async ({ services, actor }) => {
        const user = await findUser(services, actor, reference);
        await services.users.setPassword(actor, user.id, password, { isTemporary: true });
        return { json: userJson(await services.users.get(actor, user.id)), text: 'Temporary password set.' };
      });
    });
}
