import cluster from 'node:cluster';
import type { Config } from '../config.ts';
import type { RunningServer } from '../http/server.ts';
import type { Logger } from '../lib/logger.ts';
import { startManagementServer } from '../metrics/management-server.ts';
import { createSharedMemory } from './shared-memory.ts';
import { passOnToSiblings } from './siblings.ts';
import { createSupervisor } from './supervisor.ts';
import type { WorkerHandle } from './supervisor.ts';
import { createWorkerHandle } from './worker-handle.ts';
import type { ClusterWorker } from './worker-handle.ts';
import { workerArguments, workerEnvironment } from './worker-memory.ts';
import { PLACE_VARIABLE } from './worker.ts';
import type { WorkerPlace } from './worker.ts';

/**
 * The first of several processes. It accepts connections and hands them to the workers in turn, watches
 * over the workers, answers for their metrics, and keeps the embedded database running where there is one.
 * It serves no request and opens no database itself, so hardly anything can go wrong in it.
 */
export interface Primary {
  reload(): Promise<void>;
  stop(): Promise<void>;
}

interface PrimaryOptions {
  config: Config;
  log: Logger;
  /** Its own environment, which the workers have as well. */
  env: Readonly<Record<string, string | undefined>>;
}

/** @throws when the first worker does not start; it has said why */
export async function startPrimary({ config, log, env }: PrimaryOptions): Promise<Primary> {
  cluster.setupPrimary({ execArgv: workerArguments(process.execArgv, env['NODE_OPTIONS']) });
  const database = await keepEmbeddedDatabase(config, log);
  let management: RunningServer | undefined;
  const workers = new Map<WorkerHandle, ClusterWorker>();
  /** Those among them that have served; one that is drained may still do so. */
  const measured = new Set<ClusterWorker>();
  const supervisor = createSupervisor({ size: config.workers, log, launch });
  const close = async () => {
    await management?.drain();
    await database?.stop();
  };

  const memory = createSharedMemory();
  let launched = 0;

  function launch(slot: number): WorkerHandle {
    launched += 1;
    const place: WorkerPlace = { slot, isFirst: launched === 1 };
    const environment = {
      ...workerEnvironment(env),
      [PLACE_VARIABLE]: JSON.stringify(place),
      ...(database && { DATABASE_URL: database.url }),
    };
    const forked = cluster.fork(environment);
    const other = () =>
      supervisor
        .running()
        .map((handle) => workers.get(handle)?.worker)
        .find((one) => one !== forked);
    const siblings = passOnToSiblings(() => [...workers.values()].filter((one) => one.worker !== forked));
    const worker = createWorkerHandle(forked, { ...config, other, topics: { ...memory, ...siblings } });
    workers.set(worker, worker);
    worker.ready.then(
      () => measured.add(worker),
      () => {},
    );
    void worker.ended.then(() => {
      workers.delete(worker);
      measured.delete(worker);
    });
    return worker;
  }

  try {
    await supervisor.start();
    if (config.management) {
      const { createClusterMetrics } = await import('./cluster-metrics.ts');
      const render = createClusterMetrics({
        workers: () => [...measured],
        running: () => supervisor.running().length,
        crashes: () => supervisor.crashes(),
      });
      management = await startManagementServer({ ...config.management, log, render });
    }
  } catch (err) {
    await close();
    throw err;
  }
  log.info({ workers: config.workers }, 'workers are serving');

  return {
    reload: () => supervisor.reload(),
    async stop() {
      await supervisor.stop();
      await close();
    },
  };
}

async function keepEmbeddedDatabase({ databaseUrl, dataDir }: Config, log: Logger) {
  if (databaseUrl !== undefined) return undefined;
  const { startEmbeddedPostgres } = await import('../db/embedded-postgres.ts');
  return startEmbeddedPostgres({ dataDir, log });
}
