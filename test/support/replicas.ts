import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { testDatabaseUrl } from './database.ts';

export interface Replica {
  /** Where it listens; its issuer is the shared public URL. */
  url: string;
  process: ChildProcess;
  close(): Promise<void>;
}

/**
 * Server processes under one public URL, as behind a load balancer.
 * @param env for all of them
 * @param databaseUrl absent: the shared test database
 */
export async function startReplicas(
  count: number,
  publicUrl: string,
  env: Record<string, string> = {},
  databaseUrl?: string,
): Promise<Replica[]> {
  const url = databaseUrl ?? (await testDatabaseUrl());
  return Promise.all(Array.from({ length: count }, () => startReplica(url, publicUrl, env)));
}

async function startReplica(
  databaseUrl: string,
  publicUrl: string,
  env: Record<string, string>,
): Promise<Replica> {
  const child = fork(new URL('./replica.ts', import.meta.url), {
    env: {
      ...process.env,
      TEST_DATABASE_URL: databaseUrl,
      // Without it the first would name the server of another database; a replica copies none.
      TEST_DATABASE_TEMPLATE: 'none',
      REPLICA_ENV: JSON.stringify({ PUBLIC_URL: publicUrl, ...env }),
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [{ port }] = (await Promise.race([once(child, 'message'), failure(child)])) as [{ port: number }];
  return {
    url: `http://127.0.0.1:${port}`,
    process: child,
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

async function failure(child: ChildProcess): Promise<never> {
  const [code] = await once(child, 'exit');
  throw new Error(`a replica ended with code ${code} before it listened`);
}
