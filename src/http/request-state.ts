import type { IncomingMessage } from 'node:http';
import type { Middleware, ParameterizedContext } from 'koa';
import type { Logger } from '../lib/logger.ts';
import type { Actor } from './actor.ts';

/** What is known about a request before anything handles it; `ctx.state` of our own application. */
export interface RequestState {
  /** Writes the correlation id on every line. */
  log: Logger;
  /** The reference id of error pages, the `X-Request-Id` of the response. */
  correlationId: string;
  /** The client's address, as told by the socket or by a trusted proxy; '' when the client is already gone. */
  ip: string;
  userAgent: string | undefined;
  /** The request was refused as the protocol wants it, such as for a nonce to be tried again with. */
  isRoutineRefusal?: boolean;
}

export type AppContext = ParameterizedContext<RequestState>;
export type AppMiddleware = Middleware<RequestState>;

/** Any Koa context of the request, also one of the protocol engine, which has a state of its own. */
interface HasRequest {
  req: IncomingMessage;
}

const states = new WeakMap<IncomingMessage, RequestState>();

export function setRequestState({ req }: HasRequest, state: RequestState): void {
  states.set(req, state);
}

export function requestStateOf({ req }: HasRequest): RequestState {
  const state = states.get(req);
  if (!state) throw new Error('the request has not passed the correlation id middleware');
  return state;
}

/** Somebody who has not signed in, as the audit trail records them. */
export function anonymousActor(ctx: HasRequest, tenantId: string): Actor {
  const { ip, userAgent, correlationId } = requestStateOf(ctx);
  return { tenantId, type: 'anonymous', ip, userAgent, correlationId };
}
