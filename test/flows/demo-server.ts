import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { loadConfig } from '../../src/config.ts';
import { startGatehouse } from '../../src/start.ts';
import { freePort } from '../support/app.ts';
import { migratedDatabase } from '../support/database.ts';
import { memoryLog } from '../http/support.ts';

/** The whole server as a newcomer starts it, with its demo, on a database of its own. */
export interface DemoServer {
  url: string;
  db: Knex;
  /** What it printed for the person who started it. */
  printed: string;
  /** As printed. */
  demoUser: { email: string; password: string };
  setupLink: string;
  close(): Promise<void>;
}

export async function startDemoServer(): Promise<DemoServer> {
  const database = await migratedDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-flow-'));
  const key = Buffer.alloc(32, 9).toString('base64');
  const printed: string[] = [];
  const gatehouse = await startGatehouse({
    config: loadConfig({
      PORT: String(await freePort()),
      DATABASE_URL: database.url,
      GATEHOUSE_DATA_DIR: dataDir,
      GATEHOUSE_KEYS: key,
      GATEHOUSE_PEPPERS: key,
      GATEHOUSE_OUTBOUND_ALLOW: '127.0.0.0/8,::1/128',
    }),
    log: memoryLog().log,
    version: 'test',
    print: (text) => printed.push(text),
  });

  const text = printed.join('');
  const line = (pattern: RegExp) => pattern.exec(text)?.[1] ?? '';
  return {
    url: gatehouse.url,
    db: database.db,
    printed: text,
    demoUser: { email: line(/sign in as +(\S+)/), password: line(/with the password +(\S+)/) },
    setupLink: line(/(\S+\/setup\?token=\S+)/),
    async close() {
      await gatehouse.stop();
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
