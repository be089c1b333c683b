import type { EventEmitter } from 'node:events';
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { requestContext } from './request-context.ts';

const REFUSALS = [
  'authorization.error',
  'grant.error',
  'introspection.error',
  'revocation.error',
  'userinfo.error',
  'pushed_authorization_request.error',
  'end_session.error',
  'end_session_confirm.error',
] as const;

/**
 * The engine tells callers little; what it knows goes to the log, under the reference id of the error
 * page. Token issue is a line, not an event: it is routine.
 */
export function logProviderEvents(provider: Provider): void {
  for (const name of REFUSALS)
    provider.on(name, (ctx: KoaContextWithOIDC, err: EngineError) => logRefusal(name, ctx, err));

  provider.on('server_error', (ctx, err) => {
    const { log, correlationId } = requestContext(ctx.req);
    log.error({ err, correlationId }, 'the protocol engine failed');
  });

  provider.on('grant.success', (ctx) => {
    const { log, correlationId } = requestContext(ctx.req);
    const { client, params } = ctx.oidc;
    log.info(
      { correlationId, client_id: client?.clientId, grant_type: params?.['grant_type'] },
      'tokens issued',
    );
  });

  // Errors of the connection to the client, which Koa would otherwise print.
  emitter.on('error', (err: unknown, ctx?: KoaContextWithOIDC) => {
    if (!ctx) return;
    const { log, correlationId } = requestContext(ctx.req);
    log.warn({ err, correlationId }, 'the connection failed');
  });
}

interface EngineError extends Error {
  error?: string;
  error_description?: string;
  error_detail?: string;
  statusCode?: number;
}

function logRefusal(name: string, ctx: KoaContextWithOIDC, err: EngineError): void {
  // Answered in the engine's place, see jwt-tokens-middleware.
  if (err.error === 'unsupported_token_type') return;
  const { log, correlationId } = requestContext(ctx.req);
  const fields = {
    correlationId,
    error: err.error,
    description: err.error_description,
    detail: err.error_detail,
    client_id: ctx.oidc.client?.clientId,
  };
  if ((err.statusCode ?? 500) >= 500) log.error({ ...fields, err }, name);
  else log.info(fields, name);
}
