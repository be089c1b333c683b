import type { TargetDescription } from './fixtures.ts';

/** Of the server of documents: the target, and which URLs to read them from. */
export const DOCUMENTS_VARIABLE = 'BENCH_DOCUMENTS';
/** Of Gatehouse: how many workers serve; none where it is one process. */
export const WORKERS_VARIABLE = 'BENCH_WORKERS';

/** Between the bench and the servers it starts. */
export type ToServer = { type: 'count' } | { type: 'report' } | { type: 'stop' };

export type FromServer =
  | { type: 'ready'; target: TargetDescription }
  | { type: 'counting' }
  | { type: 'statements'; statements: StatementCounts }
  | { type: 'failed'; message: string };

export interface StatementCounts {
  /** Round trips to the database. */
  total: number;
  /** Transactions that wrote something and so had to reach the disk. */
  commits: number;
  /** How often each text was sent. */
  byText: Record<string, number>;
}

/** In a server: says that it is up, and answers until it is told to stop, or its parent is gone. */
export function serveParent(
  target: TargetDescription,
  server: { stop(): Promise<void>; counter?: { start(): void; counts(): StatementCounts } },
): void {
  const stop = () => void server.stop().then(() => process.exit(0));
  const send = (message: FromServer) => process.send?.(message);
  process.on('message', (message: ToServer) => {
    if (message.type === 'stop') stop();
    if (message.type === 'count') {
      server.counter?.start();
      send({ type: 'counting' });
    }
    if (message.type === 'report') {
      const none = { total: 0, commits: 0, byText: {} };
      send({ type: 'statements', statements: server.counter?.counts() ?? none });
    }
  });
  process.on('disconnect', stop);
  if (process.connected) send({ type: 'ready', target });
  else stop();
}

/** In a server: lets the parent know why there will be no server. */
export async function orTellParent(start: () => Promise<void>): Promise<void> {
  // Ctrl-C reaches the whole group; the parent stops its servers in order.
  process.on('SIGINT', () => {});
  try {
    await start();
  } catch (err) {
    const message: FromServer = {
      type: 'failed',
      message: err instanceof Error ? (err.stack ?? err.message) : String(err),
    };
    process.send?.(message, () => process.exit(1));
  }
}
