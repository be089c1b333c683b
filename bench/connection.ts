import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { readAnswer } from './answer.ts';
import type { Answer } from './answer.ts';

/**
 * One keep-alive connection, one request at a time on it. It shares the cores with the servers that are
 * measured, so it does nothing that no row needs: no pool, no streams, no compression (none is asked for).
 */
export interface Connection {
  request(request: Request): Promise<Answer>;
  /** So far. */
  requests(): number;
  close(): Promise<void>;
}

export interface Request {
  method: 'GET' | 'POST';
  /** With the query. */
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(err: Error): void;
}

/** @param origin `http:`, with an address instead of a name */
export function openConnection(origin: string): Connection {
  const { hostname, port, host } = new URL(origin);
  let socket: Socket | undefined;
  let waiting: Waiting | undefined;
  let received: Buffer | undefined;
  let count = 0;

  /** The server may have ended an idle connection. */
  function open(): Socket {
    if (socket?.writable) return socket;
    const opened = connect({ host: hostname, port: Number(port), noDelay: true });
    opened.on('data', (chunk) => take(chunk));
    opened.on('error', (err) => {
      if (socket === opened) fail(err);
    });
    opened.on('close', () => {
      if (socket === opened) fail(new Error('the server closed the connection'));
    });
    socket = opened;
    received = undefined;
    return opened;
  }

  function take(chunk: Buffer): void {
    received = received ? Buffer.concat([received, chunk]) : chunk;
    try {
      const answer = readAnswer(received);
      if (!answer) return;
      received = undefined;
      // After so many requests the server wants another connection.
      if (answer.headers.get('connection') === 'close') leave();
      const asking = waiting;
      waiting = undefined;
      asking?.resolve(answer);
    } catch (err) {
      socket?.destroy(err as Error);
    }
  }

  function leave(): void {
    const left = socket;
    socket = undefined;
    left?.end();
  }

  function fail(err: Error): void {
    const asking = waiting;
    waiting = undefined;
    asking?.reject(err);
  }

  return {
    request(request) {
      if (waiting) throw new Error('the connection is busy');
      count += 1;
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        open().write(textOf(request, host));
      });
    },
    requests: () => count,
    async close() {
      if (!socket || socket.closed) return;
      socket.destroy();
      await once(socket, 'close');
    },
  };
}

function textOf({ method, path, headers, body }: Request, host: string): string {
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`;
  for (const name in headers) text += `${name}: ${headers[name]}\r\n`;
  if (body === undefined) return `${text}\r\n`;
  if (headers?.['content-type'] === undefined) text += 'content-type: application/x-www-form-urlencoded\r\n';
  return `${text}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
