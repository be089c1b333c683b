import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type Router from '@koa/router';
import Koa from 'koa';
import { correlationId } from '../../src/http/correlation-id.ts';
import { errorHandler } from '../../src/http/error-handler.ts';
import type { ErrorHandlerOptions } from '../../src/http/error-handler.ts';
import { createClientAddresses, createPinOrigin } from '../../src/http/pin-origin.ts';
import { requestLog } from '../../src/http/request-log.ts';
import type { AppMiddleware, RequestState } from '../../src/http/request-state.ts';
import { checkRequestTarget } from '../../src/http/request-target.ts';
import { createSecurityHeaders, securityHeaders } from '../../src/http/security-headers.ts';
import { startServer } from '../../src/http/server.ts';
import type { RunningServer, ServerOptions } from '../../src/http/server.ts';
import { createLanguageGiver, requestLanguage } from '../../src/i18n/request-language.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { translations } from '../support/translations.ts';

/** The real pipeline, in its real order, on a real server on loopback, with the routes of a test. */

export const PUBLIC_URL = 'https://auth.example';

export type LogLine = Record<string, unknown> & { msg: string; level: string };

export interface MemoryLog {
  log: Logger;
  lines: LogLine[];
  /** The first line with this message, or that is such, as soon as there is one. */
  line: (wanted: string | ((line: LogLine) => boolean)) => Promise<LogLine>;
}

export function memoryLog(level = 'debug'): MemoryLog {
  const lines: LogLine[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      destination.emit('line');
      done();
    },
  });
  return {
    log: createLogger({ level, destination }),
    lines,
    async line(wanted) {
      const isWanted = typeof wanted === 'string' ? (candidate: LogLine) => candidate.msg === wanted : wanted;
      for (;;) {
        const found = lines.find(isWanted);
        if (found) return found;
        await once(destination, 'line');
      }
    },
  };
}

const running: RunningServer[] = [];

/** For `afterEach`: closes what the test has started, without waiting for anybody. */
export async function stopServers(): Promise<void> {
  await Promise.all(running.splice(0).map((server) => server.drain()));
}

export async function serve(
  handler: RequestListener,
  options: Partial<ServerOptions> = {},
): Promise<RunningServer> {
  const { log } = memoryLog();
  const server = await startServer({
    handler,
    host: '127.0.0.1',
    port: 0,
    log,
    drainSeconds: 0.05,
    graceMs: 0,
    ...options,
  });
  running.push(server);
  return server;
}

export interface AppOptions extends Partial<Omit<ErrorHandlerOptions, 'now'>> {
  publicUrl?: string;
  /** Instead of a public URL: `http://localhost:<port>`, which a browser can open. */
  atLoopback?: boolean;
  trustProxy?: readonly string[];
  /** Before the route of the test. */
  router?: Router<RequestState>;
  server?: Partial<ServerOptions>;
}

export interface RunningApp extends RunningServer, Omit<MemoryLog, 'log'> {
  publicUrl: string;
}

export async function startApp(route: AppMiddleware, options: AppOptions = {}): Promise<RunningApp> {
  const { trustProxy = [] } = options;
  let handler: RequestListener = () => {};
  const server = await serve((req, res) => handler(req, res), options.server);
  const publicUrl = options.atLoopback
    ? `http://localhost:${server.port}`
    : (options.publicUrl ?? PUBLIC_URL);

  const { log, ...logged } = memoryLog();
  const app = new Koa<RequestState>({ proxy: true });
  app.silent = true;
  app.use(correlationId({ log }));
  app.use(requestLanguage(createLanguageGiver(translations)));
  app.use(requestLog());
  app.use(securityHeaders(createSecurityHeaders({ publicUrl })));
  app.use(
    errorHandler({
      renderErrorPage: (_ctx, page) => `<html>${JSON.stringify(page)}</html>`,
      isUnavailable: () => false,
      now: () => new Date('2030-01-02T03:04:05Z'),
      ...options,
    }),
  );
  app.use(checkRequestTarget());
  if (options.router) app.use(options.router.routes()).use(options.router.allowedMethods());
  app.use(route);

  const pinOrigin = createPinOrigin({ publicUrl, addressOf: createClientAddresses({ trustProxy }) });
  const callback = app.callback();
  handler = (req, res) => {
    pinOrigin(req);
    void callback(req, res);
  };
  return { ...server, publicUrl, ...logged };
}

export async function openSocket(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  return socket;
}

/** Writes exactly these bytes and returns everything that comes back until the connection closes. */
export async function sendRaw(port: number, request: string): Promise<string> {
  const socket = await openSocket(port);
  socket.write(request);
  return text(socket);
}

/** A GET over a raw socket, with exactly these header lines besides Host. */
export async function getRaw(port: number, target: string, headers: readonly string[] = []): Promise<string> {
  const lines = [`GET ${target} HTTP/1.1`, 'Host: client.example', ...headers, 'Connection: close'];
  return sendRaw(port, `${lines.join('\r\n')}\r\n\r\n`);
}

export function statusOf(response: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(response)?.[1]);
}

export function bodyOf(response: string): string {
  return response.slice(response.indexOf('\r\n\r\n') + 4);
}
