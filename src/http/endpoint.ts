import type { z } from 'zod';
import { AppError, defineErrors } from '../lib/errors.ts';
import { sha256 } from '../lib/ids.ts';
import type { Actor } from './actor.ts';
import { parseJson, parseQuery, parsePath } from './body.ts';
import type { ApiContext, ApiMiddleware, Caller, StoredReply } from './caller.ts';
import { anonymousActor } from './request-state.ts';

/**
 * One endpoint of the JSON API: authorize, parse, handle, present, in this order. What is declared here is
 * what is checked, what is answered and what the OpenAPI document says.
 */
export interface EndpointDescription {
  /** `operationId` of the OpenAPI document. */
  id: string;
  summary: string;
  description?: string;
  tag: string;
  permission: PermissionRule;
  /** Services may also prove themselves by HTTP Basic (RFC 6749 §2.3.1) instead of a token. */
  clientCredentials?: boolean;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  reply: { status: 200 | 201 | 202 | 204; description: string; schema?: z.ZodType };
  /** Beyond those that every endpoint has. */
  errors: readonly string[];
  /** Honours `Idempotency-Key`. */
  idempotent?: boolean;
  /** The answer carries an `ETag`. */
  tagged?: boolean;
  /** `If-Match` is required (428) or honoured when it is there (412). */
  ifMatch?: 'required' | 'optional';
  example: { params?: object; query?: object; body?: object; reply?: object };
}

/** `public`; a permission; or one of two, depending on whose data it is. */
export type PermissionRule = string | OwnerRule;

export interface OwnerRule {
  /** The path parameter that holds the id of the user whose data it is. */
  owner: string;
  own: string;
  others: string;
}

type Output<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

export interface EndpointRequest<Rule, Params, Query, Body> {
  ctx: ApiContext;
  /** A `Caller`, unless the endpoint is public. */
  actor: Rule extends 'public' ? Actor : Caller;
  params: Output<Params>;
  query: Output<Query>;
  body: Output<Body>;
  /** To be called with the representation as it is under the lock. @throws {AppError} 412 */
  checkMatch: (current: unknown) => void;
}

export interface Reply {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}

const fail = defineErrors('http', {
  unauthorized: { status: 401, message: 'This needs an access token of this server.' },
  forbidden: { status: 403, message: 'Your token or your role does not allow this.' },
  not_found: { status: 404, message: 'There is nothing at this address.' },
  not_acceptable: { status: 406, message: 'The answer would be JSON, which the request does not accept.' },
  precondition_failed: { status: 412, message: 'It has been changed in the meantime. Read it again.' },
  precondition_required: {
    status: 428,
    message: 'Send `If-Match` with the `ETag` of what you have read, so that nobody’s change is lost.',
  },
  bad_idempotency_key: {
    status: 400,
    message: 'An `Idempotency-Key` has 1 to 255 visible ASCII characters.',
  },
});

const descriptions = new WeakMap<object, EndpointDescription>();

/** What a middleware that `endpoint` made declares. */
export function endpointDescription(middleware: object): EndpointDescription | undefined {
  return descriptions.get(middleware);
}

export function endpoint<
  const Rule extends PermissionRule,
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  description: Omit<EndpointDescription, 'permission' | 'params' | 'query' | 'body'> & {
    permission: Rule;
    params?: Params;
    query?: Query;
    body?: Body;
    handle: (request: EndpointRequest<Rule, Params, Query, Body>) => Promise<Reply>;
  },
): ApiMiddleware {
  const { handle, ...rest } = description;
  const declared = rest as EndpointDescription;

  const middleware: ApiMiddleware = async (ctx) => {
    if (!ctx.accepts('application/json')) throw fail('not_acceptable');
    const actor = await authorize(ctx, declared);
    const parsed = await parse(ctx, declared);
    // What the schemas return is what the types say, which were made from the schemas.
    const request = { ctx, actor, ...parsed, checkMatch: matcher(ctx, declared) } as unknown as Parameters<
      typeof handle
    >[0];

    const work = async () => present(await handle(request), declared);
    const answer = await once(ctx, declared, actor, work).catch((err: unknown) => {
      // RFC 9110 §15.5.2: also where the credentials were in the body.
      if (err instanceof AppError && err.status === 401)
        ctx.set('WWW-Authenticate', `Bearer realm="${ctx.state.api.realm}"`);
      throw err;
    });
    ctx.set(answer.headers);
    ctx.status = answer.status;
    ctx.body = answer.status === 204 ? null : answer.body;
  };
  descriptions.set(middleware, declared);
  return middleware;
}

/** @returns who asks, once it is known that they may */
async function authorize(ctx: ApiContext, description: EndpointDescription): Promise<Actor | Caller> {
  const { permission: rule, clientCredentials = false } = description;
  const { api } = ctx.state;
  if (rule === 'public') return anonymousActor(ctx, api.tenantId);

  const caller = await api.caller({ clientCredentials });
  if (!caller) {
    ctx.set('WWW-Authenticate', `Bearer realm="${api.realm}"`);
    throw fail('unauthorized');
  }
  if (typeof rule === 'string') {
    if (!api.can(caller, rule)) throw forbidden(ctx, rule);
    return caller;
  }
  if (api.can(caller, rule.others)) return caller;
  const isOwner = caller.type === 'user' && ownerIn(ctx, rule) === caller.id;
  // Whoever may see only what is their own learns of nothing else whether it exists.
  if (!isOwner && caller.type === 'user') throw fail('not_found');
  if (isOwner && api.can(caller, rule.own)) return caller;
  throw forbidden(ctx, isOwner ? rule.own : rule.others);
}

function ownerIn(ctx: ApiContext, rule: OwnerRule): string | undefined {
  const params: unknown = Reflect.get(ctx, 'params');
  const value: unknown = typeof params === 'object' && params ? Reflect.get(params, rule.owner) : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** RFC 6750 §3.1. */
function forbidden(ctx: ApiContext, permission: string): AppError {
  const { realm } = ctx.state.api;
  ctx.set('WWW-Authenticate', `Bearer realm="${realm}", error="insufficient_scope", scope="${permission}"`);
  return fail('forbidden');
}

async function parse(ctx: ApiContext, { params, query, body, ifMatch }: EndpointDescription) {
  if (ifMatch === 'required' && !ctx.get('If-Match')) throw fail('precondition_required');
  return {
    params: params && parsePath(ctx, params),
    query: parseQuery(ctx, query),
    body: body && (await parseJson(ctx, body)),
  };
}

/** Only what the schema names leaves: a field that nobody declared cannot leak. */
function present(reply: Reply, { reply: declared, tagged }: EndpointDescription): StoredReply {
  const body: unknown = declared.schema ? declared.schema.parse(reply.body) : null;
  return {
    status: reply.status ?? declared.status,
    body,
    headers: { ...reply.headers, ...(tagged ? { ETag: entityTag(body) } : {}) },
  };
}

function entityTag(representation: unknown): string {
  return `"${sha256(JSON.stringify(representation)).toString('base64url').slice(0, 22)}"`;
}

function matcher(ctx: ApiContext, { reply, ifMatch }: EndpointDescription) {
  return (current: unknown): void => {
    const wanted = ctx.get('If-Match');
    if (ifMatch === undefined || wanted === '') return;
    const tag = entityTag(reply.schema ? reply.schema.parse(current) : current);
    // RFC 9110 §13.1.1: strong comparison, so a weak tag never matches.
    const isMatch = wanted.trim() === '*' || wanted.split(',').some((one) => one.trim() === tag);
    if (!isMatch) throw fail('precondition_failed');
  };
}

function once(
  ctx: ApiContext,
  { idempotent, id }: EndpointDescription,
  actor: Actor,
  work: () => Promise<StoredReply>,
): Promise<StoredReply> {
  const key = ctx.get('Idempotency-Key');
  if (!idempotent || key === '' || actor.id === undefined) return work();
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) throw fail('bad_idempotency_key');
  const fingerprint = JSON.stringify([id, ctx.path, ctx.querystring, ctx.request.body ?? null]);
  return ctx.state.api.once({ actorId: `${actor.type} ${actor.id}`, key, fingerprint }, work);
}
