import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { runInSession } from '../session.ts';
import { details } from '../text.ts';
import { tenantJson, tenantText } from './tenant-view.ts';

export function addTenantShow(group: Command, io: CliIo): void {
  group
    .command('show')
    .description('Show a tenant and its settings.')
    .argument('<slug>', 'its name in URLs')
    .action(async (slug: string, _options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, config }) => {
        const json = tenantJson(await services.tenants.getBySlug(slug), config.publicUrl);
        return { json, text: details(tenantText(json)) };
      });
    });
}

export function addTenantUpdate(group: Command, io: CliIo): void {
  group
    .command('update')
    .description("Change a tenant's name or settings. Servers take it over within a second.")
    .argument('<slug>', 'its name in URLs')
    .option('--name <name>', 'what people see of it')
    .option(
      '--set <setting=value>',
      'a setting of docs/tenant-settings.md and its value, in JSON or as plain text; repeatable',
      collect,
      {},
    )
    .option('--unset <setting>', 'returns to the default; repeatable', collectUnset, [])
    .action(
      async (
        slug: string,
        options: { name?: string; set: Record<string, unknown>; unset: string[] },
        command: Command,
      ) => {
        await runInSession(io, command, async ({ services, actor, config }) => {
          const settings = {
            ...options.set,
            ...Object.fromEntries(options.unset.map((name) => [name, null])),
          };
          const tenant = await services.tenants.update(actor, slug, { name: options.name, settings });
          const json = tenantJson(tenant, config.publicUrl);
          return { json, text: `Tenant updated.\n\n${details(tenantText(json))}` };
        });
      },
    );
}

function collect(text: string, earlier: Record<string, unknown>): Record<string, unknown> {
  const [, name, value] = /^([A-Za-z]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new InvalidArgumentError('Write it as setting=value, such as signUp=off.');
  return { ...earlier, [name]: parse(value) };
}

function collectUnset(name: string, earlier: string[]): string[] {
  return [...earlier, name];
}

/** Lists, numbers and flags are JSON; a word by itself is meant as text. */
function parse(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
