import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { integer, tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { CLIENT_ARGUMENT, clientReport } from './client-view.ts';

interface Options {
  expireOldAfter: number;
}

export function addClientRotateSecret(group: Command, io: CliIo): void {
  group
    .command('rotate-secret')
    .description('Give a client a new secret, shown once. Both work until the old one expires.')
    .argument(...CLIENT_ARGUMENT)
    .option(
      '--expire-old-after <seconds>',
      'how long the old secret still works; 0 ends it at once',
      integer(0, 31_536_000),
      86_400,
    )
    .addOption(tenantOption())
    .action(async (clientId: string, options: Options, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) =>
        clientReport(
          'Secret rotated.',
          await services.clients.rotateSecret(actor, clientId, {
            expireOldAfterSeconds: options.expireOldAfter,
          }),
        ),
      );
    });
}
