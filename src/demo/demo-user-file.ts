import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** The demo user's password, which the database holds only as a hash: kept for its owner alone. */
const schema = z.object({ email: z.string(), password: z.string(), userId: z.string() });

export type DemoUserFile = z.output<typeof schema>;

export function demoUserFilePath(dataDir: string): string {
  return join(dataDir, 'demo-user.json');
}

/** @returns undefined when there is none, or it cannot be understood: then it is made anew */
export function readDemoUser(dataDir: string): DemoUserFile | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(demoUserFilePath(dataDir), 'utf8')));
  } catch (err) {
    if (err instanceof SyntaxError || err instanceof z.ZodError || isAbsent(err)) return undefined;
    throw err;
  }
}

/** At once or not at all: a half-written file would lose the password. */
export function writeDemoUser(dataDir: string, user: DemoUserFile): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = demoUserFilePath(dataDir);
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(user, null, 2)}\n`, { mode: 0o600 });
  // The mode above holds for new files only.
  chmodSync(draft, 0o600);
  renameSync(draft, file);
}

function isAbsent(err: unknown): boolean {
  return err instanceof Error && 'code' in err && err.code === 'ENOENT';
}
