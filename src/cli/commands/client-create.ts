import type { Command } from 'commander';
import { UsageError } from '../cli-io.ts';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { addClientOptions, readClientOptions } from './client-options.ts';
import type { ClientOptions } from './client-options.ts';
import { clientReport } from './client-view.ts';

export function addClientCreate(group: Command, io: CliIo): void {
  const command = group
    .command('create')
    .description('Register a client. The secret of a client that needs one is shown once.')
    .argument('[client-id]', 'the client_id; default: a generated one')
    .option('--name <name>', 'what people see of it on the consent screen');
  addClientOptions(command)
    .addOption(tenantOption())
    .action(async (clientId: string | undefined, options: ClientOptions, leaf: Command) => {
      const { name, ...input } = await readClientOptions(io, options);
      if (name === undefined) throw new UsageError("required option '--name <name>' not specified");
      await runInSession(io, leaf, async ({ services, actor }) => {
        const created = await services.clients.create(actor, {
          ...input,
          name,
          clientId: clientId ?? input.clientId,
        });
        return clientReport('Client created.', created);
      });
    });
}
