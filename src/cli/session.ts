import type { Command } from 'commander';
import type { Knex } from 'knex';
import { loadConfig } from '../config.ts';
import type { Config } from '../config.ts';
import { migrateUp, migrationStatus } from '../db/migrator.ts';
import { openDatabase } from '../db/open-database.ts';
import type { Actor } from '../http/actor.ts';
import { AppError } from '../lib/errors.ts';
import { createLogger } from '../lib/logger.ts';
import type { Logger } from '../lib/logger.ts';
import { loadEnvironment } from '../load-environment.ts';
import { createServices } from '../services.ts';
import type { Services } from '../services.ts';
import { announceOnce } from '../tenants/tenant-changes.ts';
import { DEFAULT_TENANT_SLUG } from '../tenants/tenant.ts';
import type { Tenant } from '../tenants/tenant.ts';
import { CommandFailed } from './cli-io.ts';
import type { CliIo, Report } from './cli-io.ts';

/** What a command works with: opened before it, closed after it, however it ends. */
export interface Session {
  config: Config;
  services: Services;
  tenant: Tenant;
  /** Whoever may run commands on the server's machine. */
  actor: Actor;
}

/** For commands that need no more than the configuration. */
export function loadCliConfig(io: CliIo): Config {
  return loadConfig(loadEnvironment(io.env));
}

/** Warnings, or what LOG_LEVEL asks for, on standard error: standard output carries the result alone. */
function cliLogger(io: CliIo): Logger {
  return createLogger({ level: io.env['LOG_LEVEL'] || 'warn', destination: io.stderr });
}

export async function withDatabase<Result>(
  io: CliIo,
  work: (database: { config: Config; db: Knex; log: Logger }) => Promise<Result>,
): Promise<Result> {
  const config = loadCliConfig(io);
  const log = cliLogger(io);
  const database = await openDatabase(config, log);
  try {
    return await work({ config, db: database.db, log });
  } finally {
    await database.close();
  }
}

/** Runs a command on all services, in the tenant of its `--tenant`, and prints its report. */
export async function runInSession(
  io: CliIo,
  command: Command,
  work: (session: Session) => Promise<Report>,
): Promise<void> {
  const report = await withDatabase(io, async ({ config, db, log }) => {
    await ensureSchema(config, db);
    const changed = new Set<string>();
    const services = createServices({ config, db, log, tenantChanged: (tenantId) => changed.add(tenantId) });
    const tenant = await findTenant(services, command.optsWithGlobals<{ tenant?: string }>().tenant);
    const actor: Actor = { tenantId: tenant.id, type: 'operator' };
    try {
      return await work({ config, services, tenant, actor });
    } finally {
      await tellServers(config.redisUrl, changed, log);
    }
  });
  printReport(io, command, report);
}

/** So that running servers need not wait for their next look at the database. */
async function tellServers(
  redisUrl: string | undefined,
  changed: ReadonlySet<string>,
  log: Logger,
): Promise<void> {
  if (redisUrl === undefined || changed.size === 0) return;
  const { createRedis } = await import('../redis/redis.ts');
  const redis = createRedis({ url: redisUrl, log });
  await announceOnce(redis, changed);
  redis.close();
}

/** @throws {CommandFailed} after printing the report of a failure */
export function printReport(io: CliIo, command: Command, report: Report): void {
  const { json } = command.optsWithGlobals<{ json?: boolean }>();
  io.stdout.write(json ? `${JSON.stringify(report.json, null, 2)}\n` : `${report.text}\n`);
  if (report.failed) throw new CommandFailed();
}

/** As the server at its start: a command may well be the first that ever uses the database. */
async function ensureSchema(config: Config, db: Knex): Promise<void> {
  const { pending } = await migrationStatus(db);
  if (pending.length === 0) return;
  if (!config.migrateAtStart) {
    throw new AppError(
      'database.not_migrated',
      409,
      'The database has pending migrations. Run `gatehouse migrate up` first.',
    );
  }
  await migrateUp(db);
}

async function findTenant(services: Services, slug = DEFAULT_TENANT_SLUG): Promise<Tenant> {
  return slug === DEFAULT_TENANT_SLUG ? services.tenants.ensureDefault() : services.tenants.getBySlug(slug);
}
