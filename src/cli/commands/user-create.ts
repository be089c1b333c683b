import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { readJsonObject, readPassword } from '../read-input.ts';
import { runInSession } from '../session.ts';
import { details } from '../text.ts';
import { userJson } from './user-view.ts';

interface Options {
  password: boolean;
  emailVerified?: boolean;
  name?: string;
  givenName?: string;
  familyName?: string;
  claims?: string;
}

export function addUserCreate(group: Command, io: CliIo): void {
  group
    .command('create')
    .description(
      'Add a user. The password is asked for, or read from standard input; at the first sign-in the user chooses their own.',
    )
    .argument('<email>', 'e-mail address, with which the user signs in')
    .option('--no-password', 'without a password; the user cannot sign in with one')
    .option('--email-verified', 'the address is known to be theirs')
    .option('--name <name>', 'full name')
    .option('--given-name <name>', 'given name')
    .option('--family-name <name>', 'family name')
    .option('--claims <json>', 'more claims of the profile: a JSON object, a file with one, or -')
    .addOption(tenantOption())
    .action(async (email: string, options: Options, command: Command) => {
      const claims = await claimsOf(io, options);
      const password = options.password ? await readPassword(io) : undefined;
      await runInSession(io, command, async ({ services, actor }) => {
        const user = await services.users.create(actor, {
          email,
          password,
          isTemporaryPassword: true,
          emailVerified: options.emailVerified,
          claims,
        });
        return { json: userJson(user), text: `User created.\n\n${details(userJson(user))}` };
      });
    });
}

async function claimsOf(io: CliIo, options: Options): Promise<Record<string, unknown>> {
  const given = options.claims === undefined ? {} : await readJsonObject(io, options.claims, '--claims');
  const flags = { name: options.name, given_name: options.givenName, family_name: options.familyName };
  return {
    ...given,
    ...Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)),
  };
}
