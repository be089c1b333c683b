import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { findUser, USER_ARGUMENT, userJson } from './user-view.ts';

export function addUserLock(group: Command, io: CliIo): void {
  group
    .command('lock')
    .description('Lock a user until they are unlocked. Sessions and grants of the user end at once.')
    .argument(...USER_ARGUMENT)
    .option('--reason <reason>', 'why, for the audit trail')
    .addOption(tenantOption())
    .action(async (reference: string, options: { reason?: string }, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const { id } = await findUser(services, actor, reference);
        await services.users.lock(actor, id, { cause: 'administrator', reason: options.reason });
        return { json: userJson(await services.users.get(actor, id)), text: 'User locked.' };
      });
    });
}
