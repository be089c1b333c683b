import { readFileSync } from 'node:fs';
import { ConfigError, loadConfig } from './config.ts';
import type { Config } from './config.ts';
import { bufferedOutput, createLogger } from './lib/logger.ts';
import { loadEnvironment } from './load-environment.ts';
import { startGatehouse } from './start.ts';

/** The server process: configuration in, SIGTERM out. */

function readConfig(): Config {
  try {
    return loadConfig(loadEnvironment(process.env));
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err;
    process.stderr.write(`${err.message}\n`);
    process.exit(78);
  }
}

const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24) {
  process.stderr.write(`Gatehouse needs Node.js 24 or later; this is ${process.version}.\n`);
  process.exit(1);
}

const config = readConfig();
const log = createLogger({
  level: config.logLevel,
  ...(config.production ? { destination: bufferedOutput() } : {}),
});
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

// A bug that nobody caught leaves the process in an unknown state: it is reported and the process ends.
process.on('uncaughtException', (err) => {
  log.fatal({ err }, 'uncaught exception');
  process.exit(1);
});

let stopping: Promise<void> | undefined;
const starting = startGatehouse({ config, log, version, print: (text) => process.stdout.write(text) });

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    // A second signal means that somebody is in a hurry.
    if (stopping) process.exit(130);
    log.info({ signal }, 'stopping');
    stopping = starting
      .then((running) => running.stop())
      .then(
        () => process.exit(0),
        (err: unknown) => {
          log.error({ err }, 'could not stop cleanly');
          process.exit(1);
        },
      );
  });
}

try {
  await starting;
} catch (err) {
  log.fatal({ err }, 'could not start');
  process.stderr.write(`Gatehouse could not start: ${err instanceof Error ? err.message : String(err)}\n`);
  process.exit(1);
}
