import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { errors } from 'oidc-provider';
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { DatabaseError } from 'pg';
import { isDatabaseUnavailable } from '../../db/database-errors.ts';
import { settleSession } from '../adapter/session-adapter.ts';
import { StoreUnavailable } from '../adapter/store-errors.ts';
import { currentUnitOfWork, inUnitOfWork, LocksNeeded } from '../adapter/unit-of-work.ts';
import type { UnitOfWork, UnitOfWorkKind } from '../adapter/unit-of-work.ts';
import { ROUTES } from '../configuration/features.ts';
import type { TenantContext } from '../provider-deps.ts';
import { settleTokens } from './settle-tokens.ts';
import type { Actor } from '../../http/actor.ts';
import { anonymousActor, requestStateOf } from '../../http/request-state.ts';

/** Requests that lost a race with another one: they are to be done once more, with locks. */
const again = new WeakSet<IncomingMessage>();

/** Whether there is no answer yet, and the engine is to be asked once more. */
export function isToBeRepeated({ req }: { req: IncomingMessage }): boolean {
  return again.has(req);
}

/**
 * Every protocol request is one unit of work. It is committed before the bytes leave, also when the
 * answer refuses the caller, since a revocation must stick; an answer of ours that failed undoes it.
 */
export function unitOfWorkMiddleware(provider: Provider, context: TenantContext) {
  const { db, tenant, screens } = context;

  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    // Whoever asks from inside the process writes what comes of it, together with what led to it.
    if (currentUnitOfWork()?.takesRequests) return next();
    const kind = kindOf(ctx.method, ctx.path);
    const isOptimistic = kind === 'browser' && !again.has(ctx.req) && isSimple(ctx);
    const headersBefore = isOptimistic ? { ...ctx.res.getHeaders() } : {};
    try {
      const { client_id: clientId } = ctx.query;
      const options = {
        db,
        kind,
        isOptimistic,
        asksForAccounts: ctx.path !== ROUTES.introspection && ctx.path !== ROUTES.revocation,
        actor: () => actorOf(ctx, tenant.id),
        ...(typeof clientId === 'string' && !clientId.includes('\0') ? { clientId } : {}),
      };
      await inUnitOfWork(options, async (unit) => {
        await next();
        if (unit.isRepeated) {
          // Cookies of a session that is not going to be stored would end the one there is.
          ctx.remove('Set-Cookie');
          return false;
        }
        if (ctx.status === 503) ctx.set('Retry-After', '1');
        await settleTokens(provider, context, unit, ctx);
        await endReusedFamily(provider, unit, ctx);
        await settleSession(unit, tenant.id);
        if (isOptimistic && (ctx.status < 500 || unit.needsLocks) && !(await unit.writeDeferred())) {
          beginAnew(ctx, headersBefore);
          return false;
        }
        return ctx.status < 500;
      });
    } catch (err) {
      if (err instanceof LocksNeeded) beginAnew(ctx, headersBefore);
      else await answerFailure(ctx, err);
    }
  };

  /** Nothing was written and nothing has left; what the engine had prepared is forgotten. */
  function beginAnew(ctx: KoaContextWithOIDC, headersBefore: OutgoingHttpHeaders): void {
    again.add(ctx.req);
    for (const name of ctx.res.getHeaderNames()) ctx.res.removeHeader(name);
    ctx.set(headersBefore as Record<string, string>);
    ctx.respond = false;
  }

  /** What the engine had prepared must not leave: it says things that did not happen. */
  async function answerFailure(ctx: KoaContextWithOIDC, cause: unknown): Promise<void> {
    requestStateOf(ctx).log.error({ err: cause }, 'the request could not be completed');
    for (const header of ['Set-Cookie', 'Location', 'WWW-Authenticate']) ctx.remove(header);
    const err = toEngineError(cause);
    ctx.status = err.statusCode;
    if (ctx.status === 503) ctx.set('Retry-After', '1');
    const out = { error: err.error, error_description: err.error_description };
    if (ctx.accepts('json', 'html') === 'html') await screens.error(context, ctx, out, err);
    else ctx.body = out;
  }
}

/** A store that could not answer or commit may answer later; anything else is a bug of ours. */
function toEngineError(cause: unknown): errors.OIDCProviderError {
  if (cause instanceof StoreUnavailable) return cause;
  if (cause instanceof DatabaseError || isDatabaseUnavailable(cause)) return new StoreUnavailable(cause);
  const bug = new errors.OIDCProviderError(500, 'server_error');
  bug.error_description = 'something went wrong';
  return bug;
}

/** The client, where it has proved itself, or whoever the browser's session says. */
function actorOf(ctx: KoaContextWithOIDC, tenantId: string): Actor {
  const anonymous = anonymousActor(ctx, tenantId);
  const { client, session, route } = ctx.oidc;
  const accountId = session?.accountId;
  if (accountId !== undefined) return { ...anonymous, type: 'user', id: accountId };
  const hasProvedItself = route === 'token' || route === 'revocation';
  return client && hasProvedItself ? { ...anonymous, type: 'client', id: client.clientId } : anonymous;
}

function kindOf(method: string, path: string): UnitOfWorkKind {
  if (method === 'POST' && path === ROUTES.token) return 'token';
  if (method === 'POST' && path === ROUTES.revocation) return 'write';
  if (path.startsWith(ROUTES.authorization) || path.startsWith(ROUTES.end_session)) return 'browser';
  return 'read';
}

/** Pushed requests are used up, and signing out touches more than the session: both want locks anyway. */
function isSimple({ path, query }: KoaContextWithOIDC): boolean {
  return path.startsWith(ROUTES.authorization) && query['request_uri'] === undefined;
}

/**
 * The engine notices a reused refresh token only after every other check, so a thief who errs in the
 * scope or the proof would raise no alarm. The token was seen a second time: its family ends.
 */
async function endReusedFamily(provider: Provider, unit: UnitOfWork, ctx: KoaContextWithOIDC): Promise<void> {
  const { reused } = unit;
  if (unit.rotatedTokenId === undefined || !reused) return;
  if (ctx.oidc.client?.clientId !== reused.clientId) return;
  await provider.Grant.adapter.destroy(reused.grantId);
}
