import { resolve } from 'node:path';
import { ConfigError, environmentSchema } from './config.ts';
import { developmentSecrets } from './lib/development-secrets.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment a process starts from: as it is in production, completed with the generated secrets of
 * the data directory elsewhere. The server and the command line use the same, so they open each other's data.
 *
 * @throws {ConfigError} when the data directory cannot be used
 */
export function loadEnvironment(env: Environment): Environment {
  const mode = environmentSchema.shape.NODE_ENV.safeParse(env['NODE_ENV'] || undefined);
  // A misspelt mode must not create secrets as if it were development; the configuration reports it.
  if (!mode.success || mode.data === 'production') return env;

  const missing = (['GATEHOUSE_KEYS', 'GATEHOUSE_PEPPERS'] as const).filter(
    (name) => !env[name] && !env[`${name}_FILE`],
  );
  if (missing.length === 0) return env;
  const dataDir = environmentSchema.shape.GATEHOUSE_DATA_DIR.parse(env['GATEHOUSE_DATA_DIR'] || undefined);
  const secrets = secretsIn(resolve(dataDir));
  return { ...env, ...Object.fromEntries(missing.map((name) => [name, secrets[name]])) };
}

function secretsIn(dataDir: string) {
  try {
    return developmentSecrets(dataDir);
  } catch (err) {
    const code = err instanceof Error && 'code' in err ? String(err.code) : 'no valid secrets.json';
    throw new ConfigError([`GATEHOUSE_DATA_DIR: cannot use ${dataDir} (${code})`]);
  }
}
