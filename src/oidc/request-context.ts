import type { IncomingMessage } from 'node:http';
import type { Actor } from '../http/actor.ts';
import { createLogger } from '../lib/logger.ts';
import type { Logger } from '../lib/logger.ts';

/** What our own middleware knows about a request, for code that the engine calls with its own context. */
export interface RequestContext {
  log: Logger;
  correlationId: string;
  ip: string | undefined;
  userAgent: string | undefined;
}

const contexts = new WeakMap<IncomingMessage, RequestContext>();
const UNKNOWN: RequestContext = {
  log: createLogger({ level: 'silent' }),
  correlationId: 'unknown',
  ip: undefined,
  userAgent: undefined,
};

export function setRequestContext(req: IncomingMessage, context: RequestContext): void {
  contexts.set(req, context);
}

export function requestContext(req: IncomingMessage): RequestContext {
  return contexts.get(req) ?? UNKNOWN;
}

/** Whoever it is, as long as nobody is signed in. */
export function anonymousActor(req: IncomingMessage, tenantId: string): Actor {
  const { ip, userAgent, correlationId } = requestContext(req);
  return { tenantId, type: 'anonymous', ip, userAgent, correlationId };
}
