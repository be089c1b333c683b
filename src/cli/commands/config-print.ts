import type { Command } from 'commander';
import { environmentSchema, isSecret } from '../../config.ts';
import { loadEnvironment } from '../../load-environment.ts';
import type { CliIo } from '../cli-io.ts';
import { loadCliConfig, printReport } from '../session.ts';
import { table, valueText } from '../text.ts';

const REDACTED = '[redacted]';

export function addConfigPrint(group: Command, io: CliIo): void {
  group
    .command('print')
    .description('Print the configuration in force, with secrets redacted, and where each value comes from.')
    .option('--redacted', 'what it does anyway: secrets are never printed')
    .action((_options: unknown, command: Command) => {
      const values = settings(io);
      printReport(io, command, {
        json: values,
        text: table(
          ['NAME', 'VALUE', 'SOURCE'],
          Object.entries(values).map(([name, { value, source }]) => [name, valueText(value), source]),
        ),
      });
    });
}

interface Setting {
  value: unknown;
  source: 'environment' | 'file' | 'generated' | 'default';
}

/** @throws {ConfigError} with every fault */
function settings(io: CliIo): Record<string, Setting> {
  const config = loadCliConfig(io);
  const effective = loadEnvironment(io.env);
  // Defaults that depend on other variables.
  const derived: Record<string, unknown> = {
    HOST: config.host,
    PUBLIC_URL: config.publicUrl,
    GATEHOUSE_WORKERS: config.workers,
    GATEHOUSE_DATABASE_POOL: config.databasePool,
    GATEHOUSE_PASSWORD_HASHERS: config.passwordHashers,
    GATEHOUSE_DATA_DIR: config.dataDir,
    LOG_LEVEL: config.logLevel,
    GATEHOUSE_MANAGEMENT_PORT: config.management?.port ?? 0,
    GATEHOUSE_MANAGEMENT_HOST: config.management?.host ?? null,
    GATEHOUSE_DEMO: config.demo,
  };

  return Object.fromEntries(
    Object.entries(environmentSchema.shape).map(([name, field]): [string, Setting] => {
      const source = sourceOf(io, effective, name);
      if (isSecret(field)) return [name, { value: source === 'default' ? null : REDACTED, source }];
      const value: unknown = Object.hasOwn(derived, name)
        ? derived[name]
        : (field.parse(effective[name] || undefined) ?? null);
      return [name, { value, source }];
    }),
  );
}

function sourceOf(io: CliIo, effective: CliIo['env'], name: string): Setting['source'] {
  if (io.env[`${name}_FILE`]) return 'file';
  if (io.env[name]) return 'environment';
  return effective[name] ? 'generated' : 'default';
}
