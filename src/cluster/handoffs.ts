import type { Worker } from 'node:cluster';

/**
 * The primary accepts connections and hands each to a worker. Node forgets one whose worker dies before it
 * has taken it: nobody serves it and nobody closes it, so its client waits until it gives up. That happens to
 * whoever connects in the moment between a worker's death and the primary's learning of it. Here such a
 * connection is handed to another worker, by repeating Node's own message, or closed where there is none.
 *
 * It watches messages whose form is Node's affair (lib/internal/cluster); should that change, connections are
 * lost again as they are without this, and test/cluster tells.
 */
interface Handoff {
  act: 'newconn';
  seq: number;
}

interface Connection {
  close(): void;
}

/** @param other a worker that serves, if there is one */
export function rescueHandoffs(worker: Worker, other: () => Worker | undefined): void {
  const { process: child } = worker;
  const pending = new Map<number, { message: Handoff; connection: Connection }>();
  const send = child.send.bind(child) as (...args: unknown[]) => boolean;

  child.send = (...args: unknown[]): boolean => {
    const [message, connection] = args;
    if (isHandoff(message) && isConnection(connection)) pending.set(message.seq, { message, connection });
    return send(...args);
  };
  child.on('internalMessage', (message: { ack?: number }) => {
    if (message.ack !== undefined) pending.delete(message.ack);
  });

  worker.once('exit', () => {
    for (const { message, connection } of pending.values()) {
      const heir = other();
      // The answer closes our end of the connection, whoever it comes from.
      if (heir) heir.process.send(message, connection as never);
      else connection.close();
    }
    pending.clear();
  });
}

function isHandoff(message: unknown): message is Handoff {
  return typeof message === 'object' && message !== null && 'act' in message && message.act === 'newconn';
}

function isConnection(handle: unknown): handle is Connection {
  return typeof handle === 'object' && handle !== null && 'close' in handle;
}
