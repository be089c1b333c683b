import type { Middleware, ParameterizedContext } from 'koa';
import type { Actor } from './actor.ts';
import type { RequestState } from './request-state.ts';

/** Who calls the API, proved by a token or by a client's own credentials. */
export interface Caller extends Actor {
  type: 'user' | 'client';
  id: string;
  /** The client that holds the token; of a service, itself. */
  clientId: string;
  scopes: ReadonlySet<string>;
  /** Of a user. */
  roles: readonly string[];
  /** The grant the token belongs to; a service's token has none. */
  grantId: string | undefined;
}

/** What an endpoint asks of the server around it, for the tenant of the request. */
export interface ApiAccess {
  tenantId: string;
  /** The protected resource that `WWW-Authenticate` names. */
  realm: string;
  /** Undefined when the request brings no credentials. @throws {AppError} 401 for credentials that prove nobody */
  caller: (accepts: { clientCredentials: boolean }) => Promise<Caller | undefined>;
  can: (caller: Caller, permission: string) => boolean;
  /** Runs the work once for each `Idempotency-Key` of an actor; see management-api/idempotency.ts. */
  once: (request: OnceRequest, work: () => Promise<StoredReply>) => Promise<StoredReply>;
}

export interface OnceRequest {
  actorId: string;
  key: string;
  /** What the request asks: the same key with something else is refused. */
  fingerprint: string;
}

export interface StoredReply {
  status: number;
  body: unknown;
  headers: Record<string, string>;
}

export interface ApiRequestState extends RequestState {
  api: ApiAccess;
}

export type ApiContext = ParameterizedContext<ApiRequestState>;
export type ApiMiddleware = Middleware<ApiRequestState>;
