import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { newId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import { setRequestState } from './request-state.ts';
import type { AppMiddleware, RequestOrigin } from './request-state.ts';

const SAFE_ID = /^[A-Za-z0-9-]{8,64}$/;
// W3C Trace Context §3.2: version, trace id, parent id, flags; a trace id of zeros is invalid.
const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})(?<traceId>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
const MAX_USER_AGENT_LENGTH = 256;

/**
 * Gives every request an id that ties together its log lines, its audit events, its error page and the
 * caller's own records, and sets up the request's state.
 */
export function correlationId({ log }: { log: Logger }): AppMiddleware {
  return (ctx, next) => {
    const state = newRequestState(ctx.req, { ip: ctx.ip, log });
    setRequestState(ctx, state);
    ctx.state = Object.assign(state, ctx.state);
    ctx.set('X-Request-Id', state.correlationId);
    return next();
  };
}

/** @param log of the server; the request gets one of its own as soon as it has something to say */
export function newRequestState(
  { headers }: Pick<IncomingMessage, 'headers'>,
  { ip, log }: { ip: string; log: Logger },
): RequestOrigin {
  return new Origin(
    log,
    correlationIdOf(headers),
    ip,
    headers['user-agent']?.slice(0, MAX_USER_AGENT_LENGTH),
  );
}

/** A class, because V8 keeps an accessor that each object has of its own until the next full collection. */
class Origin implements RequestOrigin {
  readonly correlationId: string;
  readonly ip: string;
  readonly userAgent: string | undefined;
  readonly #serverLog: Logger;
  #log: Logger | undefined;

  constructor(serverLog: Logger, correlationId: string, ip: string, userAgent: string | undefined) {
    this.#serverLog = serverLog;
    this.correlationId = correlationId;
    this.ip = ip;
    this.userAgent = userAgent;
  }

  get log(): Logger {
    this.#log ??= this.#serverLog.child({ correlationId: this.correlationId });
    return this.#log;
  }
}

/** The caller's id if it is harmless wherever it will be printed, the trace it belongs to, or a new one. */
function correlationIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id'];
  if (typeof given === 'string' && SAFE_ID.test(given)) return given;
  const { traceparent } = headers;
  const trace = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent) : null;
  return trace?.groups?.['traceId'] ?? newId();
}
