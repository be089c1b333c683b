import type { Middleware } from 'koa';
import { readForm } from '../http/body.ts';
import { ROUTES } from './configuration/features.ts';
import { isToBeRepeated } from './middleware/unit-of-work-middleware.ts';
import type { ProviderRegistry } from './provider-registry.ts';
import { locate, resolveTenant } from './tenant-state.ts';
import type { TenantRequestContext, TenantState } from './tenant-state.ts';

const EXACT = new Set<string>([
  ...Object.values(ROUTES),
  `${ROUTES.end_session}/confirm`,
  `${ROUTES.end_session}/success`,
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
]);
/**
 * Requests that apps may post as well (OpenID Connect Core §3.1.2.1, RP-Initiated Logout 1.0 §2). A form of
 * another site brings no cookies of ours; the GET that it is turned into does.
 */
const BY_FORM = new Set<string>([ROUTES.authorization, ROUTES.end_session]);
const RESUME = /^\/authorize\/[\w-]{1,64}$/;

export function isProtocolPath(path: string): boolean {
  return EXACT.has(path) || RESUME.test(path);
}

/** Of a protocol path, the same for all requests of a kind. */
export function protocolRouteOf(path: string): string | undefined {
  if (EXACT.has(path)) return path;
  return RESUME.test(path) ? `${ROUTES.authorization}/:uid` : undefined;
}

/**
 * Hands the protocol's paths to the tenant's engine, which writes the response itself. Ahead of all routers,
 * which would each look through their routes first.
 */
export function protocolRoutes(registry: Pick<ProviderRegistry, 'get'>): Middleware<TenantState> {
  const withTenant = resolveTenant(registry);
  return async (ctx, next) => {
    if (!isProtocolPath(locate(ctx.path).path)) return next();
    return withTenant(ctx, () => answer(ctx));
  };
}

/** An address with more, and the cookies beside it, would be more than what a request's headers may take. */
export const LONGEST_QUERY_BYTES = 12 * 1024;

async function answer(ctx: TenantRequestContext): Promise<void> {
  if (ctx.method === 'POST' && BY_FORM.has(ctx.path)) {
    const { mountPath } = ctx.state.tenantProvider.context;
    const form = await readForm(ctx, LONGEST_QUERY_BYTES);
    ctx.status = 303;
    ctx.redirect(`${mountPath}${ctx.path}?${form.toString()}`);
    return;
  }
  ctx.respond = false;
  const { handle } = ctx.state.tenantProvider;
  await handle(ctx.req, ctx.res);
  if (isToBeRepeated(ctx)) await handle(ctx.req, ctx.res);
}
