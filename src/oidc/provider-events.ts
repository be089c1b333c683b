import type { EventEmitter } from 'node:events';
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { tokenResponses } from '../lib/instruments.ts';
import { requestStateOf } from '../http/request-state.ts';
import { currentUnitOfWork, LocksNeeded } from './adapter/unit-of-work.ts';

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
  // The engine's typed overloads take one literal name each.
  const emitter: EventEmitter = provider;
  for (const name of REFUSALS)
    emitter.on(name, (ctx: KoaContextWithOIDC, err: EngineError) => logRefusal(name, ctx, err));

  provider.on('server_error', (ctx, err) => {
    const { log } = requestStateOf(ctx);
    log.error({ err }, 'the protocol engine failed');
  });

  provider.on('grant.success', (ctx) => {
    const { log } = requestStateOf(ctx);
    const { client, params } = ctx.oidc;
    const grantType = String(params?.['grant_type']);
    // What is stored afterwards may put a refusal in the place of this answer.
    currentUnitOfWork()?.onCommitted(() => {
      if (ctx.status >= 400) return;
      tokenResponses.record({ grantType });
      log.info({ client_id: client?.clientId, grant_type: grantType }, 'tokens issued');
    });
  });

  // Errors of the connection to the client, which Koa would otherwise print.
  emitter.on('error', (err: unknown, ctx?: KoaContextWithOIDC) => {
    if (!ctx) return;
    const { log } = requestStateOf(ctx);
    log.warn({ err }, 'the connection failed');
  });
}

/** Answers on the way to a success: they are refusals in form only (RFC 9449 §8, RFC 8628 §3.5). */
const ROUTINE = new Set(['use_dpop_nonce', 'authorization_pending', 'slow_down']);

interface EngineError extends Error {
  error?: string;
  error_description?: string;
  error_detail?: string;
  statusCode?: number;
}

function logRefusal(name: string, ctx: KoaContextWithOIDC, err: EngineError): void {
  // Done once more, with another end.
  if (err instanceof LocksNeeded) return;
  // Answered in the engine's place, see jwt-tokens-middleware.
  if (err.error === 'unsupported_token_type') return;
  const state = requestStateOf(ctx);
  if (ROUTINE.has(err.error ?? '')) state.isRoutineRefusal = true;
  const { log } = state;
  const fields = {
    error: err.error,
    description: err.error_description,
    detail: err.error_detail,
    client_id: ctx.oidc.client?.clientId,
  };
  if ((err.statusCode ?? 500) >= 500) log.error({ ...fields, err }, name);
  else log.info(fields, name);
}
