import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { createAttendance } from '../lib/attendance.ts';
import type { Attendance } from '../lib/attendance.ts';
import type { Logger } from '../lib/logger.ts';
import { describeStatus } from './describe-error.ts';
import type { ConnectionLimit } from './connection-limit.ts';

/** The listening socket: limits on what a connection may cost, and a way out that fails no request. */

export interface ServerLimits {
  /** From the first byte of a request, or the opening of a connection, to the end of its headers. */
  headersTimeoutMs: number;
  requestTimeoutMs: number;
  /** Longer than the 60 s that common load balancers keep an idle connection, or they would meet it closing. */
  keepAliveTimeoutMs: number;
  /** Without a byte in either direction, as when nobody reads the response. */
  inactivityTimeoutMs: number;
  /** How often the first two are enforced; Node's own 30 s would let a slow sender live four times as long. */
  checkingIntervalMs: number;
  /** How long the rest of a body nobody wants is taken, because many clients read a refusal only after sending. */
  lingerMs: number;
  maxHeaderBytes: number;
  maxRequestsPerSocket: number;
  /** Requests that wait on a connection for the answer to the one before: all of them have begun, and take memory. */
  maxPipelined: number;
}

/** What every server has, unless it is told otherwise. */
export const SERVER_LIMITS: Readonly<ServerLimits> = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  inactivityTimeoutMs: 70_000,
  checkingIntervalMs: 1_000,
  lingerMs: 3_000,
  maxHeaderBytes: 16 * 1024,
  maxRequestsPerSocket: 10_000,
  maxPipelined: 20,
};

export interface ServerOptions {
  handler: RequestListener;
  host: string;
  /** 0: whichever port is free. */
  port: number;
  /** Which connections to take; all of them without it. */
  admit?: ConnectionLimit;
  log: Logger;
  /** How long `drain` waits for requests that are under way. */
  drainSeconds: number;
  /**
   * How long `drain` goes on accepting, so that load balancers see the readiness probe fail and clients hear
   * `Connection: close` before a connection is refused or cut. Counts towards `drainSeconds`.
   */
  graceMs?: number;
  limits?: Partial<ServerLimits>;
}

export interface RunningServer {
  port: number;
  url: string;
  isDraining: () => boolean;
  /** Resolves when the last connection is closed; every call returns the same promise. */
  drain: (options?: DrainOptions) => Promise<void>;
}

export interface DrainOptions {
  /** Goes on accepting until then, instead of for `graceMs`. */
  until?: Promise<unknown>;
}

/** @throws when the address cannot be listened on */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { handler, host, log } = options;
  const limits = { ...SERVER_LIMITS, ...options.limits };
  const active = createAttendance<ServerResponse>();
  const isOneTooMany = createPipelineLimit(limits.maxPipelined);
  let drained: Promise<void> | undefined;

  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.checkingIntervalMs,
      maxHeaderSize: limits.maxHeaderBytes,
      requireHostHeader: true,
      // A request without a body needs no events that say so.
      optimizeEmptyRequests: true,
    },
    (req, res) => {
      if (isOneTooMany(req, res)) {
        req.socket.destroy();
        return;
      }
      const leave = active.enter(res);
      res.once('close', () => {
        leave();
        if (!req.complete && !req.socket.destroyed) cutAfter(req, limits.lingerMs);
        // A response whose headers had left before draining began leaves its connection open.
        if (drained) setImmediate(() => server.listening || server.closeIdleConnections());
      });
      if (drained) announceClose(res);
      handler(req, res);
    },
  );
  server.timeout = limits.inactivityTimeoutMs;
  server.maxRequestsPerSocket = limits.maxRequestsPerSocket;
  server.on('clientError', (err: NodeJS.ErrnoException, socket) => refuse(err, socket, active));

  const { admit } = options;
  if (admit) server.on('connection', (socket) => void admit(socket));

  await listen(server, options);
  const { port } = server.address() as AddressInfo;

  return {
    port,
    url: `http://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    isDraining: () => drained !== undefined,
    drain({ until = delay(options.graceMs ?? 1000) } = {}) {
      drained ??= drain(server, active, { ...options, until }, log);
      return drained;
    },
  };
}

async function listen(server: Server, { host, port }: ServerOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function drain(
  server: Server,
  active: Attendance<ServerResponse>,
  { drainSeconds, until }: ServerOptions & { until: Promise<unknown> },
  log: Logger,
): Promise<void> {
  for (const res of active.present()) announceClose(res);
  const deadline = setTimeout(() => {
    log.warn({ requests: active.present().length }, 'requests were cut off because draining took too long');
    server.closeAllConnections();
  }, drainSeconds * 1000);

  await Promise.race([until, delay(drainSeconds * 1000, undefined, { ref: false })]);
  // Right after the event loop has accepted what was waiting: connections still in the backlog are reset.
  await nextTurn();
  // Closes idle connections too; they stayed idle during the grace, so no request is likely on its way.
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearTimeout(deadline);
}

/** Nobody but who wants to do harm sends many requests without having read an answer. */
function createPipelineLimit(most: number): (req: IncomingMessage, res: ServerResponse) => boolean {
  const waiting = new WeakMap<Socket, number>();

  return ({ socket }, res) => {
    // It has its connection at once unless another answer is under way there, as hardly ever.
    if (res.socket) return false;
    const count = (waiting.get(socket) ?? 0) + 1;
    if (count > most || socket.destroyed) return true;
    waiting.set(socket, count);
    res.once('close', () => waiting.set(socket, (waiting.get(socket) ?? 1) - 1));
    return false;
  };
}

/** Node drops the rest of the body unread, but for as long as it keeps coming. */
function cutAfter(req: IncomingMessage, milliseconds: number): void {
  const timer = setTimeout(() => req.complete || req.socket.destroy(), milliseconds).unref();
  req.socket.once('close', () => clearTimeout(timer));
}

function announceClose(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close');
}

const REFUSALS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Content Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Answers what is not HTTP, or came too slowly, and lets go of the connection whatever the other side does. */
function refuse(err: NodeJS.ErrnoException, socket: Duplex, active: Attendance<ServerResponse>): void {
  const answering = active.present().some((res) => res.socket === socket && res.headersSent);
  if (err.code === 'ECONNRESET' || !socket.writable || answering) {
    socket.destroy();
    return;
  }
  const status = REFUSALS[err.code ?? ''] ?? '400 Bad Request';
  const { code, message } = describeStatus(Number(status.slice(0, 3)));
  const body = JSON.stringify({
    type: 'about:blank',
    title: status.slice(4),
    status: Number(status.slice(0, 3)),
    detail: message,
    code,
  });
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
