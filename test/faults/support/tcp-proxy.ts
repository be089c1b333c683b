import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createStatementReader } from './postgres-messages.ts';

/**
 * A TCP proxy between the servers and a store of theirs that does what networks and databases do: stall,
 * cut, refuse, delay, and lose a commit or the reply to one. All of it is switched while it runs.
 */
export interface TcpProxy {
  port: number;
  connections(): number;
  /** Bytes stay where they are in these directions, on connections that exist and new ones alike. */
  stall(direction?: Direction | 'both'): void;
  /** Lets everything flow again that `stall` held back. */
  resume(): void;
  /** Resets every connection. */
  cut(): void;
  /** Resets every connection and refuses new ones, as a host whose server is down. */
  refuse(): Promise<void>;
  /** Takes connections again after `refuse`. */
  accept(): Promise<void>;
  /** Holds every byte back for this long, in both directions. 0: not any more. */
  delay(milliseconds: number): void;
  /**
   * The next statements that fit reach the server and are carried out, but their replies get lost.
   * @param how the connection is reset, or stays open and silent
   * @param statements is matched with a statement, and within a transaction with all of them from `BEGIN` on
   */
  loseReplies(count: number, how?: 'reset' | 'silence', statements?: RegExp): void;
  /** The next commits of transactions do not reach the server: their connections are reset instead. */
  loseCommits(count: number): void;
  /** How many replies were lost so far. */
  lostReplies(): number;
  /** New connections go elsewhere. */
  retarget(upstream: Upstream): void;
  close(): Promise<void>;
}

export type Direction = 'to-server' | 'to-client';

/** A unix socket's path, or a port of this machine. */
export type Upstream = string | number;

const BEGIN = /^\s*(begin|start)\b/i;
const END = /^\s*(commit|end|rollback|abort)\b/i;
const COMMIT = /\n\s*(commit|end)\b[^\n]*$/i;

interface Flow {
  from: Socket;
  to: Socket;
  direction: Direction;
}

export async function startTcpProxy(target: Upstream): Promise<TcpProxy> {
  const flows = new Set<Flow>();
  let upstream = target;
  let stalled: Direction | 'both' | undefined;
  let delayMs = 0;
  let toLose = { count: 0, how: 'reset', statements: COMMIT };
  let commitsToLose = 0;
  let lost = 0;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, open);
  await listen(0);
  const { port } = server.address() as AddressInfo;

  async function listen(on: number): Promise<void> {
    server.listen(on, '127.0.0.1');
    await once(server, 'listening');
  }

  function open(client: Socket): void {
    const options = { allowHalfOpen: true, noDelay: true };
    const database =
      typeof upstream === 'string'
        ? connect({ path: upstream, ...options })
        : connect({ port: upstream, host: '127.0.0.1', ...options });
    const reader = createStatementReader();
    let reply: 'passes' | 'is awaited' | 'was lost' = 'passes';
    let transaction: string[] = [];

    connectFlow({ from: client, to: database, direction: 'to-server' }, (chunk) => {
      for (const statement of reader.read(chunk)) {
        const soFar = [...transaction, statement];
        transaction = BEGIN.test(soFar[0] ?? '') && !END.test(statement) ? soFar : [];
        if (commitsToLose > 0 && COMMIT.test(soFar.join('\n'))) {
          commitsToLose -= 1;
          reset(client, database);
          return false;
        }
        if (toLose.count === 0 || !toLose.statements.test(soFar.join('\n'))) continue;
        toLose.count -= 1;
        reply = 'is awaited';
      }
      return true;
    });
    connectFlow({ from: database, to: client, direction: 'to-client' }, () => {
      if (reply === 'passes') return true;
      // The server has answered, so it is done; the client is not to know.
      if (reply === 'is awaited') lost += 1;
      reply = 'was lost';
      if (toLose.how === 'reset') reset(client, database);
      return false;
    });
  }

  /** @param passes whether the bytes may go on */
  function connectFlow(flow: Flow, passes: (chunk: Buffer) => boolean): void {
    const { from, to } = flow;
    flows.add(flow);
    from.on('data', (chunk: Buffer) => {
      if (passes(chunk)) later(() => write(flow, chunk));
    });
    from.on('end', () => later(() => to.end()));
    from.on('error', () => reset(to));
    from.on('close', () => {
      flows.delete(flow);
      later(() => to.destroy());
    });
    if (isHeld(flow)) from.pause();
  }

  function write(flow: Flow, chunk: Buffer): void {
    const { from, to } = flow;
    if (to.destroyed || to.write(chunk)) return;
    from.pause();
    to.once('drain', () => {
      if (!isHeld(flow)) from.resume();
    });
  }

  function later(work: () => void): void {
    if (delayMs === 0) work();
    else setTimeout(work, delayMs);
  }

  function isHeld({ direction }: Flow): boolean {
    return stalled === 'both' || stalled === direction;
  }

  function reset(...sockets: Socket[]): void {
    for (const socket of sockets) {
      // Unix sockets know no reset, and after its end a connection cannot be reset any more (close(2), SO_LINGER).
      const canReset = socket.remoteFamily !== undefined && !socket.writableEnded && !socket.destroyed;
      if (canReset) socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  function cut(): void {
    for (const { from } of flows) reset(from);
  }

  async function stopListening(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  }

  return {
    port,
    connections: () => flows.size / 2,
    stall(direction = 'both') {
      stalled = direction;
      for (const flow of flows) if (isHeld(flow)) flow.from.pause();
    },
    resume() {
      stalled = undefined;
      for (const { from } of flows) from.resume();
    },
    cut,
    refuse: stopListening,
    async accept() {
      if (!server.listening) await listen(port);
    },
    delay(milliseconds) {
      delayMs = milliseconds;
    },
    loseReplies(count, how = 'reset', statements = COMMIT) {
      toLose = { count, how, statements };
    },
    loseCommits(count) {
      commitsToLose = count;
    },
    lostReplies: () => lost,
    retarget(next) {
      upstream = next;
    },
    close: stopListening,
  };
}
