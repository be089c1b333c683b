import { accessSync, constants } from 'node:fs';
import { isLoopback } from './config-values.ts';
import type { Environment } from './config.ts';

/** What is wrong with variables that are fine each by itself. */
export function crossFieldFaults(env: Environment): string[] {
  const faults: string[] = [];
  if (env.NODE_ENV === 'production') {
    for (const name of ['PUBLIC_URL', 'DATABASE_URL', 'GATEHOUSE_KEYS', 'GATEHOUSE_PEPPERS'] as const) {
      if (env[name] === undefined) faults.push(`${name}: required in production`);
    }
    if (
      env.PUBLIC_URL &&
      !env.PUBLIC_URL.startsWith('https://') &&
      !isLoopback(new URL(env.PUBLIC_URL).hostname)
    ) {
      faults.push('PUBLIC_URL: must use https in production');
    }
    if (env.GATEHOUSE_DEMO) faults.push('GATEHOUSE_DEMO: the demo is not available in production');
  }
  if (env.PUBLIC_URL) {
    const { pathname, search, hash } = new URL(env.PUBLIC_URL);
    if (pathname !== '/' || search || hash)
      faults.push('PUBLIC_URL: must be an origin, without path, query or fragment');
  }
  if (env.GATEHOUSE_PASSWORD_BLOCKLIST && !isReadable(env.GATEHOUSE_PASSWORD_BLOCKLIST)) {
    faults.push(`GATEHOUSE_PASSWORD_BLOCKLIST: cannot read ${env.GATEHOUSE_PASSWORD_BLOCKLIST}`);
  }
  if (env.GATEHOUSE_REFRESH_ABSOLUTE_SECONDS < env.GATEHOUSE_REFRESH_IDLE_SECONDS) {
    faults.push(
      'GATEHOUSE_REFRESH_ABSOLUTE_SECONDS: must not be shorter than GATEHOUSE_REFRESH_IDLE_SECONDS',
    );
  }
  return faults;
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
