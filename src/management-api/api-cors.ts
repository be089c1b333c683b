import type { Middleware } from 'koa';
import type { TenantState } from '../oidc/tenant-state.ts';

const HEADERS = 'authorization, content-type, idempotency-key, if-match, x-request-id';
const EXPOSED =
  'etag, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id, idempotency-replayed';

/**
 * Which pages may call the API from a browser: those of the tenant's first-party client, by the origins of
 * its redirect URIs. Never with cookies, which the API does not read.
 */
export const apiCors: Middleware<TenantState> = async (ctx, next) => {
  const origin = ctx.get('Origin');
  if (origin === '') return next();
  ctx.vary('Origin');
  if (!(await isAllowed(ctx.state, origin))) return next();

  ctx.set('Access-Control-Allow-Origin', origin);
  ctx.set('Access-Control-Expose-Headers', EXPOSED);
  // The answer is for another origin, which the header of all other responses forbids.
  ctx.set('Cross-Origin-Resource-Policy', 'cross-origin');
  if (ctx.method !== 'OPTIONS' || ctx.get('Access-Control-Request-Method') === '') return next();
  ctx.set('Access-Control-Allow-Methods', 'GET, POST, PATCH, DELETE');
  ctx.set('Access-Control-Allow-Headers', HEADERS);
  ctx.set('Access-Control-Max-Age', '600');
  ctx.status = 204;
};

/** `null` is the origin of pages that anybody can make. */
async function isAllowed({ tenantProvider }: TenantState, origin: string): Promise<boolean> {
  const { directory, tenant } = tenantProvider.context;
  const { firstPartyClientId } = tenant.settings;
  if (origin === 'null' || firstPartyClientId === undefined) return false;
  const client = await directory.client(firstPartyClientId);
  return (client?.metadata.redirect_uris ?? []).some((uri) => URL.parse(uri)?.origin === origin);
}
