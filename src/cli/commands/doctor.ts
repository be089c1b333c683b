import type { Command } from 'commander';
import type { Knex } from 'knex';
import type { Config } from '../../config.ts';
import { systemClock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { createServices } from '../../services.ts';
import type { CliIo } from '../cli-io.ts';
import { describeFailure } from '../describe-failure.ts';
import { fail, ok } from '../doctor/check.ts';
import type { Check } from '../doctor/check.ts';
import { checkDatabase, checkMigrations } from '../doctor/check-database.ts';
import { checkDataDir, checkNode } from '../doctor/check-machine.ts';
import { checkMail } from '../doctor/check-mail.ts';
import { checkPublicUrl } from '../doctor/check-public-url.ts';
import { checkPeppers, checkSigningKeys } from '../doctor/check-secrets.ts';
import { loadCliConfig, printReport, withDatabase } from '../session.ts';
import { table } from '../text.ts';

export function addDoctor(program: Command, io: CliIo): void {
  program
    .command('doctor')
    .description(
      'Look for what is wrong with the installation, and say what to do about it. Changes nothing; fails when something must be put right.',
    )
    .action(async (_options: unknown, command: Command) => {
      const checks = await examine(io);
      printReport(io, command, {
        json: { checks },
        text: reportText(checks),
        failed: checks.some(({ status }) => status === 'fail'),
      });
    });
}

/** Each check builds on those before it; what can still be looked at after a failure is. */
async function examine(io: CliIo): Promise<Check[]> {
  const checks = [checkNode(process.version)];
  let config: Config;
  try {
    config = loadCliConfig(io);
    checks.push(ok('configuration', `valid, ${config.mode}`));
  } catch (err) {
    const { message, errors } = describeFailure(err, io.env);
    const faults = errors.map((fault) => fault.message).join('; ');
    return [
      ...checks,
      fail('configuration', faults || message, 'docs/configuration.md explains every variable.'),
    ];
  }

  checks.push(checkDataDir(config));
  try {
    checks.push(...(await withDatabase(io, (database) => examineDatabase(database))));
  } catch (err) {
    checks.push(
      fail('database', describeFailure(err, io.env).message, 'Check DATABASE_URL and the server it names.'),
    );
  }
  return [...checks, await checkMail(config), await checkPublicUrl(config)];
}

async function examineDatabase({
  config,
  db,
  log,
}: {
  config: Config;
  db: Knex;
  log: Logger;
}): Promise<Check[]> {
  const checks = await checkDatabase(db, config, systemClock);
  const migrations = await checkMigrations(db, config);
  checks.push(migrations);
  if (migrations.status !== 'ok') return checks;
  const services = createServices({ config, db, log });
  return [...checks, await checkSigningKeys(services), await checkPeppers(db, config.peppers)];
}

function reportText(checks: readonly Check[]): string {
  const list = table(
    ['CHECK', 'RESULT', ''],
    checks.map(({ name, status, message }) => [name, status, message]),
  );
  const advice = checks.flatMap(({ name, advice: text }) => (text === undefined ? [] : [`${name}: ${text}`]));
  return advice.length === 0 ? list : `${list}\n\nWhat to do:\n  ${advice.join('\n  ')}`;
}
