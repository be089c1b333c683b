import type { Command } from 'commander';
import { UsageError } from '../cli-io.ts';
import type { CliIo } from '../cli-io.ts';
import { collect, tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { addClientOptions, readClientOptions } from './client-options.ts';
import type { ClientOptions } from './client-options.ts';
import { CLIENT_ARGUMENT, clientReport } from './client-view.ts';

export function addClientUpdate(group: Command, io: CliIo): void {
  const command = group
    .command('update')
    .description(
      'Change a client. What is not given stays; a list is replaced as a whole; null in --metadata takes a field out.',
    )
    .argument(...CLIENT_ARGUMENT)
    .option('--name <name>', 'what people see of it on the consent screen')
    .option('--unset <field>', 'Metadata field to take out. Repeat it for several.', collect);
  addClientOptions(command)
    .addOption(tenantOption())
    .action(async (clientId: string, options: ClientOptions & { unset?: string[] }, leaf: Command) => {
      const { clientId: documentId, metadata, ...patch } = await readClientOptions(io, options);
      if (documentId !== undefined && documentId !== clientId) {
        throw new UsageError(`--metadata: client_id is ${documentId}; a client's id cannot change`);
      }
      for (const field of options.unset ?? []) metadata[field] = null;
      if (Object.keys(metadata).length === 0 && Object.values(patch).every((value) => value === undefined)) {
        throw new UsageError('nothing to change was given');
      }
      await runInSession(io, leaf, async ({ services, actor }) =>
        clientReport(
          'Client updated.',
          await services.clients.update(actor, clientId, { ...patch, metadata }),
        ),
      );
    });
}
