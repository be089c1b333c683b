import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { findUser, USER_ARGUMENT, userJson } from './user-view.ts';

export function addUserDisable(group: Command, io: CliIo): void {
  group
    .command('disable')
    .description('Lock a user out. Sessions and grants of the user end at once.')
    .argument(...USER_ARGUMENT)
    .option('--reason <reason>', 'why, for the audit trail')
    .addOption(tenantOption())
    .action(async (reference: string, options: { reason?: string }, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const { id } = await findUser(services, actor, reference);
        const user = await services.users.disable(actor, id, { reason: options.reason });
        return { json: userJson(user), text: 'User disabled.' };
      });
    });
}

export function addUserEnable(group: Command, io: CliIo): void {
  group
    .command('enable')
    .description('Let a disabled, locked or pending user sign in.')
    .argument(...USER_ARGUMENT)
    .addOption(tenantOption())
    .action(async (reference: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const { id } = await findUser(services, actor, reference);
        const user = await services.users.enable(actor, id);
        return { json: userJson(user), text: 'User enabled.' };
      });
    });
}
