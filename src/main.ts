import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { startPrimary } from './cluster/primary.ts';
import { sharedMemory } from './cluster/shared-memory.ts';
import { createSiblings } from './cluster/siblings.ts';
import { workerRole } from './cluster/worker.ts';
import { ConfigError, loadConfig } from './config.ts';
import type { Config } from './config.ts';
import type { DrainOptions } from './http/server.ts';
import { bufferedOutput, createLogger } from './lib/logger.ts';
import { loadEnvironment } from './load-environment.ts';
import type { RunningGatehouse } from './start.ts';

/**
 * The server process, which bin/serve.mjs starts: configuration in, SIGTERM out. It serves by itself, or is
 * the primary of several workers, or one of those.
 */

function readConfig(): Config {
  try {
    return loadConfig(loadEnvironment(process.env));
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err;
    process.stderr.write(`${err.message}\n`);
    process.exit(78);
  }
}

const config = readConfig();
const worker = workerRole(process.env);
const isPrimary = cluster.isPrimary && config.workers > 1;
const log = createLogger({
  level: config.logLevel,
  ...(config.production ? { destination: bufferedOutput() } : {}),
}).child(worker ? { worker: worker.slot } : {});

// A bug that nobody caught leaves the process in an unknown state: it is reported and the process ends.
process.on('uncaughtException', (err) => {
  log.fatal({ err }, 'uncaught exception');
  process.exit(1);
});

interface Running {
  stop(options?: DrainOptions): Promise<void>;
  /** Only a primary can go on while it begins anew. */
  reload?: () => Promise<void>;
}

let stopping: Promise<void> | undefined;
const starting: Promise<Running> = isPrimary ? startPrimary({ config, log, env: process.env }) : serve();

async function serve(): Promise<Running> {
  // A primary has no use for what a server loads.
  const { startGatehouse } = await import('./start.ts');
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const served: RunningGatehouse[] = [];
  const siblings = createSiblings();
  const askPrimary = worker?.converse({
    metrics: () => served[0]?.metrics?.registry.getMetricsAsJSON(),
    ...siblings.topics,
  });
  const running = await startGatehouse({
    config,
    log,
    version,
    print: (text) => process.stdout.write(text),
    ...(worker && askPrimary
      ? {
          duties: worker.duties,
          onMigrating: (isUnderWay) => worker.migrating(isUnderWay),
          sharedMemory: sharedMemory(askPrimary),
          siblings: siblings.through(askPrimary),
        }
      : {}),
  });
  served.push(running);
  worker?.ready(running.port);
  // At once and not at the end, for those that start meanwhile and because some ends are sudden.
  flushCompileCache();
  return running;
}

function stop(reason: string, options?: DrainOptions): void {
  if (stopping) return;
  log.info({ reason }, 'stopping');
  stopping = starting
    .then((running) => running.stop(options))
    .then(
      () => process.exit(0),
      (err: unknown) => {
        log.error({ err }, 'could not stop cleanly');
        process.exit(1);
      },
    );
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    // A terminal sends it to all processes; the primary sees to its workers.
    if (worker && signal === 'SIGINT') return;
    // A second signal means that somebody is in a hurry.
    if (stopping && !worker) process.exit(130);
    stop(signal);
  });
}
process.on('SIGHUP', () => {
  if (worker) return;
  // From a terminal it says that the terminal is gone.
  if (!isPrimary || process.stdout.isTTY) return stop('SIGHUP');
  void starting.then((running) => running.reload?.());
});
worker?.onDrain((options) => stop('asked by the primary', options));

try {
  await starting;
} catch (err) {
  log.fatal({ err }, 'could not start');
  process.stderr.write(`Gatehouse could not start: ${err instanceof Error ? err.message : String(err)}\n`);
  process.exit(1);
}
