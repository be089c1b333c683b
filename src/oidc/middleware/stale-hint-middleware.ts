import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { JSONWebKeySet } from 'jose';
import type { Context } from 'koa';
import { ROUTES } from '../configuration/features.ts';
import type { TenantContext } from '../provider-deps.ts';

/**
 * Apps sign people out with the ID token of the sign-in, which may be older than any key that is still
 * published. The engine fails on such a hint, and the person could not sign out; without it they are
 * asked. Who the app is counts for no more than if it had said so in `client_id`.
 */
export function staleHintMiddleware({ issuer }: Pick<TenantContext, 'issuer'>, jwks: JSONWebKeySet) {
  const known = new Set(jwks.keys.map(({ kid }) => kid));

  return async (ctx: Context, next: () => Promise<unknown>): Promise<void> => {
    if (ctx.path === ROUTES.end_session) {
      const { id_token_hint: hint, ...query } = ctx.query;
      const clientId = typeof hint === 'string' ? staleAudience(hint) : undefined;
      // A contradiction is for the engine to refuse.
      if (clientId !== undefined && (query['client_id'] ?? clientId) === clientId)
        ctx.query = { ...query, client_id: clientId };
    }
    await next();
  };

  /** The client of an ID token that nobody can verify any more; undefined for everything else. */
  function staleAudience(token: string): string | undefined {
    try {
      const { kid } = decodeProtectedHeader(token);
      const { iss, aud } = decodeJwt(token);
      const isStale = kid !== undefined && !known.has(kid) && iss === issuer;
      return isStale && typeof aud === 'string' ? aud : undefined;
    } catch {
      return undefined;
    }
  }
}
