import type { Worker } from 'node:cluster';

/**
 * The primary accepts connections and hands each to a worker, one at a time; the next one comes when the
 * worker has taken the last. This watches over connections on their way.
 *
 * Node forgets one whose worker dies before it has taken it: nobody serves it and nobody closes it, so its
 * client waits until it gives up. That happens to whoever connects in the moment between a worker's death and
 * the primary's learning of it. Here such a connection is handed to another worker, by repeating Node's own
 * message, or closed where there is none.
 *
 * It reads messages whose form is Node's affair (lib/internal/cluster); should that change, connections are
 * lost again as they are without this, and test/cluster tells.
 */
export interface Handoffs {
  /** Acts at a moment when no connection is on its way to the worker or waits for it. */
  whenIdle(act: () => void): void;
}

interface Handoff {
  act: 'newconn';
  seq: number;
}

interface Connection {
  close(): void;
}

/** Whatever happens, a worker that is to end must not wait for it for ever. */
const LONGEST_WAIT_MS = 500;

/** @param other a worker that serves, if there is one */
export function watchHandoffs(worker: Worker, other: () => Worker | undefined): Handoffs {
  const { process: child } = worker;
  const pending = new Map<number, { message: Handoff; connection: Connection }>();
  const send = child.send.bind(child) as (...args: unknown[]) => boolean;
  let onIdle: (() => void) | undefined;

  child.send = (...args: unknown[]): boolean => {
    const [message, connection] = args;
    if (isHandoff(message) && isConnection(connection)) pending.set(message.seq, { message, connection });
    return send(...args);
  };
  // After Node's own listener, which answers by handing over the next connection, if one waits.
  child.on('internalMessage', (message: { ack?: number }) => {
    if (message.ack === undefined) return;
    pending.delete(message.ack);
    if (pending.size === 0) onIdle?.();
  });

  worker.once('exit', () => {
    for (const { message, connection } of pending.values()) {
      const heir = other();
      // The answer closes our end of the connection, whoever it comes from.
      if (heir) heir.process.send(message, connection as never);
      else connection.close();
    }
    pending.clear();
    onIdle?.();
  });

  return {
    whenIdle(act) {
      const deadline = performance.now() + LONGEST_WAIT_MS;
      const timer = setTimeout(() => finish(), LONGEST_WAIT_MS);
      const finish = () => {
        clearTimeout(timer);
        onIdle = undefined;
        act();
      };
      // After the event loop has accepted what was waiting at the door, which may keep the worker busy again.
      const look = () =>
        setImmediate(() => {
          if (pending.size === 0 && performance.now() < deadline) finish();
        });
      onIdle = look;
      if (pending.size === 0) look();
    },
  };
}

function isHandoff(message: unknown): message is Handoff {
  return typeof message === 'object' && message !== null && 'act' in message && message.act === 'newconn';
}

function isConnection(handle: unknown): handle is Connection {
  return typeof handle === 'object' && handle !== null && 'close' in handle;
}
