import type { Middleware } from 'koa';
import { ROUTES } from './configuration/features.ts';
import type { TenantState } from './tenant-state.ts';

const EXACT = new Set<string>([
  ...Object.values(ROUTES),
  `${ROUTES.end_session}/confirm`,
  `${ROUTES.end_session}/success`,
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
]);
const RESUME = /^\/authorize\/[\w-]{1,64}$/;

export function isProtocolPath(path: string): boolean {
  return EXACT.has(path) || RESUME.test(path);
}

/** Hands the protocol's paths to the tenant's engine, which writes the response itself. */
export const protocolRoutes: Middleware<TenantState> = async (ctx, next) => {
  if (!isProtocolPath(ctx.path)) {
    await next();
    return;
  }
  ctx.respond = false;
  await ctx.state.tenantProvider.handle(ctx.req, ctx.res);
};
