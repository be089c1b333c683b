import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FromServer, StatementCounts, ToServer } from './child-messages.ts';
import type { TargetDescription } from './fixtures.ts';

/** A server in a process of its own; this side of it. */
export interface ServerProcess {
  name: string;
  target: TargetDescription;
  /** Processes whose CPU time counts as the server's: with all their children. */
  pids: number[];
  /** Counts the database statements that `work` causes. */
  countStatements(work: () => Promise<void>): Promise<StatementCounts>;
  stop(): Promise<void>;
}

interface ServerProcessOptions {
  env?: NodeJS.ProcessEnv;
  nodeArgs?: readonly string[];
  cpuProfileDir?: string | undefined;
}

const STOP_TIMEOUT_MS = 30_000;

export async function startServerProcess(
  name: string,
  script: string,
  { env = {}, nodeArgs = [], cpuProfileDir }: ServerProcessOptions = {},
): Promise<ServerProcess> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), {
    env: { ...process.env, ...env },
    execArgv: [...nodeArgs, ...(cpuProfileDir ? ['--cpu-prof', `--cpu-prof-dir=${cpuProfileDir}`] : [])],
    // The log is written, as in real life, but nobody reads it.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const { target } = await answer(name, child, 'ready');
  const pids = [child.pid, target.postgresPid].filter((pid) => pid !== undefined);

  return {
    name,
    target,
    pids,

    async countStatements(work) {
      send(child, { type: 'count' });
      await answer(name, child, 'counting');
      await work();
      send(child, { type: 'report' });
      return (await answer(name, child, 'statements')).statements;
    },

    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      send(child, { type: 'stop' });
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

function send(child: ChildProcess, message: ToServer): void {
  child.send(message);
}

type Answer<Type extends FromServer['type']> = Extract<FromServer, { type: Type }>;

function answer<Type extends FromServer['type']>(
  name: string,
  child: ChildProcess,
  type: Type,
): Promise<Answer<Type>> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: FromServer) => {
      if (message.type === 'failed') settle(() => reject(new Error(`${name}: ${message.message}`)));
      if (message.type === type) settle(() => resolve(message as Answer<Type>));
    };
    const onExit = (code: number | null) =>
      settle(() => reject(new Error(`${name} ended with ${code ?? 'a signal'}`)));
    const settle = (end: () => void) => {
      child.off('message', onMessage);
      child.off('exit', onExit);
      end();
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
  });
}
