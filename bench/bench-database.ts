import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabase } from '../src/db/database.ts';

/**
 * Where Gatehouse keeps its data during a run: a database of its own on the server of DATABASE_URL, or the
 * embedded server in a directory of its own. Both are gone afterwards.
 */
export async function createBenchDatabase(
  serverUrl: string | undefined,
): Promise<{ env: Record<string, string>; remove(): Promise<void> }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  const removeDataDir = () => rmSync(dataDir, { recursive: true, force: true });
  if (!serverUrl) {
    return { env: { GATEHOUSE_DATA_DIR: dataDir }, remove: async () => removeDataDir() };
  }

  const name = `gatehouse_bench_${randomBytes(4).toString('hex')}`;
  await onServer(serverUrl, 'CREATE DATABASE ??', name);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    env: { GATEHOUSE_DATA_DIR: dataDir, DATABASE_URL: url.href },
    async remove() {
      removeDataDir();
      await onServer(serverUrl, 'DROP DATABASE IF EXISTS ?? WITH (FORCE)', name);
    },
  };
}

async function onServer(url: string, sql: string, name: string): Promise<void> {
  const timeoutMs = 60_000;
  const db = createDatabase({
    url,
    poolMax: 2,
    statementTimeoutMs: timeoutMs,
    lockTimeoutMs: timeoutMs,
    acquireTimeoutMs: timeoutMs,
  });
  try {
    await db.raw(sql, [name]);
  } finally {
    await db.destroy();
  }
}
