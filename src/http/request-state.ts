import type { IncomingMessage } from 'node:http';
import type { Middleware, ParameterizedContext } from 'koa';
import type { RequestLanguage } from '../i18n/request-language.ts';
import type { Logger } from '../lib/logger.ts';
import type { Actor } from './actor.ts';

/** Who sent a request, and under which reference it is known. */
export interface RequestOrigin {
  /** Writes the correlation id on every line. */
  readonly log: Logger;
  /** The reference id of error pages, the `X-Request-Id` of the response. */
  correlationId: string;
  /** The client's address, as told by the socket or by a trusted proxy; '' when the client is already gone. */
  ip: string;
  userAgent: string | undefined;
  /** The request was refused as the protocol wants it, such as for a nonce to be tried again with. */
  isRoutineRefusal?: boolean;
  /** Whoever asks named a client that has no credentials. */
  provesNothing?: boolean;
}

/** What is known about a request before anything handles it; `ctx.state` of our own application. */
export interface RequestState extends RequestOrigin {
  /** Pages, and mails that the request sends, are written in it. */
  language: RequestLanguage;
}

export type AppContext = ParameterizedContext<RequestState>;
export type AppMiddleware = Middleware<RequestState>;

/** Any Koa context of the request, also one of the protocol engine, which has a state of its own. */
interface HasRequest {
  req: IncomingMessage;
}

/** Kept on the request itself: the collector looks at every entry of a WeakMap each time it runs. */
const STATE = Symbol('request state');

interface Known extends IncomingMessage {
  [STATE]?: RequestOrigin;
}

export function setRequestState({ req }: HasRequest, state: RequestOrigin): void {
  (req as Known)[STATE] = state;
}

export function requestStateOf({ req }: HasRequest): RequestOrigin {
  const state = (req as Known)[STATE];
  if (!state) throw new Error('the request has not passed the correlation id middleware');
  return state;
}

/** Somebody who has not signed in, as the audit trail records them. */
export function anonymousActor(ctx: HasRequest, tenantId: string): Actor {
  const { ip, userAgent, correlationId } = requestStateOf(ctx);
  return { tenantId, type: 'anonymous', ip, userAgent, correlationId };
}
