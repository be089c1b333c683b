import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Secrets of a development server, made once and kept in the data directory for its owner alone, so
 * that a newcomer configures nothing and a restart finds its own data readable.
 */
export interface DevelopmentSecrets {
  GATEHOUSE_KEYS: string;
  GATEHOUSE_PEPPERS: string;
}

export function developmentSecrets(dataDir: string): DevelopmentSecrets {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  chmodSync(dataDir, 0o700);
  const file = join(dataDir, 'secrets.json');
  const fresh: DevelopmentSecrets = {
    GATEHOUSE_KEYS: randomBytes(32).toString('base64'),
    GATEHOUSE_PEPPERS: randomBytes(32).toString('base64'),
  };
  writeOnce(file, JSON.stringify(fresh, null, 2));
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Several processes may start at once: exactly one creates the file, and nobody sees it half-written. */
function writeOnce(file: string, content: string): void {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(draft, content, { mode: 0o600 });
  try {
    linkSync(draft, file);
  } catch (err) {
    if (!(err instanceof Error && 'code' in err && err.code === 'EEXIST')) throw err;
  } finally {
    unlinkSync(draft);
  }
}
