import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

const OTHERS = 0o077;

export function checkNode(version: string): Check {
  const [major = 0] = version.replace(/^v/, '').split('.').map(Number);
  return major >= 24
    ? ok('node', `Node ${version}`)
    : fail(
        'node',
        `Node ${version} is too old`,
        'Use Node 24; `npm ci` brings it along for npm scripts and npx.',
      );
}

/** The embedded database and the generated secrets are in the data directory, for their owner alone. */
export function checkDataDir({ dataDir, databaseUrl, production }: Config): Check {
  const mode = modeOf(dataDir);
  if (mode === undefined) {
    return databaseUrl && production
      ? ok('data directory', 'not needed')
      : warn('data directory', `${dataDir} is not there yet`, 'It is made at the first start.');
  }
  try {
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return fail(
      'data directory',
      `${dataDir} cannot be written`,
      'Run as its owner, or set GATEHOUSE_DATA_DIR.',
    );
  }
  for (const path of [dataDir, join(dataDir, 'secrets.json')]) {
    const bits = modeOf(path);
    if (bits !== undefined && (bits & OTHERS) !== 0) {
      return fail('data directory', `${path} is open to other users`, `Run: chmod go-rwx ${path}`);
    }
  }
  return ok('data directory', dataDir);
}

function modeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mode;
}
