import { fileURLToPath } from 'node:url';
import { workerArguments, workerEnvironment } from '../src/cluster/worker-memory.ts';
import { startServerProcess } from './server-process.ts';
import type { ServerProcess } from './server-process.ts';

/** As in bin/serve.mjs. The first start that fills it takes more memory than those that use it. */
const COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/gatehouse', import.meta.url));

/** Gatehouse with the settings of memory that `npm start` and a primary give. */
export function startGatehouseProcess(
  name: string,
  { env, cpuProfileDir }: { env: NodeJS.ProcessEnv; cpuProfileDir?: string | undefined },
): Promise<ServerProcess> {
  return startServerProcess(name, './gatehouse-server.ts', {
    cpuProfileDir,
    nodeArgs: workerArguments([], process.env['NODE_OPTIONS']),
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...workerEnvironment(process.env), ...env },
  });
}
