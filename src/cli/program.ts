import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import type { CliIo } from './cli-io.ts';
import { addAdminLink } from './commands/admin-link.ts';
import { addClientCreate } from './commands/client-create.ts';
import { addClientDelete } from './commands/client-delete.ts';
import { addClientDisable, addClientEnable } from './commands/client-disable.ts';
import { addClientList } from './commands/client-list.ts';
import { addClientRevokeSecret } from './commands/client-revoke-secret.ts';
import { addClientRotateSecret } from './commands/client-rotate-secret.ts';
import { addClientShow } from './commands/client-show.ts';
import { addClientUpdate } from './commands/client-update.ts';
import { addConfigPrint } from './commands/config-print.ts';
import { addDoctor } from './commands/doctor.ts';
import { addKeysList } from './commands/keys-list.ts';
import { addKeysRevoke } from './commands/keys-revoke.ts';
import { addKeysRewrap } from './commands/keys-rewrap.ts';
import { addKeysRotate } from './commands/keys-rotate.ts';
import { addMigrateDown } from './commands/migrate-down.ts';
import { addMigrateStatus } from './commands/migrate-status.ts';
import { addMigrateUp } from './commands/migrate-up.ts';
import { addResourceCreate } from './commands/resource-create.ts';
import { addResourceDelete } from './commands/resource-delete.ts';
import { addResourceList } from './commands/resource-list.ts';
import { addResourceShow } from './commands/resource-show.ts';
import { addResourceUpdate } from './commands/resource-update.ts';
import { addTenantCreate } from './commands/tenant-create.ts';
import { addTenantList } from './commands/tenant-list.ts';
import { addTenantShow, addTenantUpdate } from './commands/tenant-update.ts';
import { addUserCreate } from './commands/user-create.ts';
import { addUserDelete, addUserRestore } from './commands/user-delete.ts';
import { addUserDisable, addUserEnable } from './commands/user-disable.ts';
import { addUserExport } from './commands/user-export.ts';
import { addUserImport } from './commands/user-import.ts';
import { addUserList } from './commands/user-list.ts';
import { addUserLock } from './commands/user-lock.ts';
import { addUserSetPassword } from './commands/user-set-password.ts';
import { addUserShow } from './commands/user-show.ts';
import { addUserInvite } from './commands/user-invite.ts';
import { addUserUnlock } from './commands/user-unlock.ts';

type AddCommand = (group: Command, io: CliIo) => void;

/** The whole command line in one look. */
const GROUPS: readonly { name: string; description: string; commands: readonly AddCommand[] }[] = [
  {
    name: 'user',
    description: 'People who sign in',
    commands: [
      addUserCreate,
      addUserList,
      addUserShow,
      addUserSetPassword,
      addUserDisable,
      addUserEnable,
      addUserLock,
      addUserInvite,
      addUserUnlock,
      addUserDelete,
      addUserRestore,
      addUserImport,
      addUserExport,
    ],
  },
  {
    name: 'client',
    description: 'Applications that ask for tokens',
    commands: [
      addClientCreate,
      addClientList,
      addClientShow,
      addClientUpdate,
      addClientRotateSecret,
      addClientRevokeSecret,
      addClientDisable,
      addClientEnable,
      addClientDelete,
    ],
  },
  {
    name: 'resource',
    description: 'APIs that tokens are issued for',
    commands: [addResourceCreate, addResourceList, addResourceShow, addResourceUpdate, addResourceDelete],
  },
  {
    name: 'tenant',
    description: 'Isolated issuers',
    commands: [addTenantCreate, addTenantList, addTenantShow, addTenantUpdate],
  },
  {
    name: 'keys',
    description: 'Signing keys',
    commands: [addKeysList, addKeysRotate, addKeysRevoke, addKeysRewrap],
  },
  { name: 'admin', description: 'Administrators', commands: [addAdminLink] },
  {
    name: 'migrate',
    description: 'The database schema',
    commands: [addMigrateUp, addMigrateDown, addMigrateStatus],
  },
  { name: 'config', description: 'The configuration', commands: [addConfigPrint] },
];

export function createProgram(io: CliIo): Command {
  const program = new Command('gatehouse')
    .description('Operates a Gatehouse server, beside it or on its own.')
    .version(packageVersion(), '--version', 'print the version')
    .option('--json', 'print JSON, errors included')
    .helpOption('-h, --help', 'explain a command')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      // Written by run-cli.ts, as JSON where that is asked for.
      outputError: () => {},
    });

  for (const { name, description, commands } of GROUPS) {
    const group = program.command(name).description(description);
    for (const addCommand of commands) addCommand(group, io);
  }
  addDoctor(program, io);
  return program;
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}
