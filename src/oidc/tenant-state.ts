import type { Middleware, ParameterizedContext } from 'koa';
import { defineErrors } from '../lib/errors.ts';
import type { RequestState } from '../http/request-state.ts';
import { DEFAULT_TENANT_SLUG } from '../tenants/tenant.ts';
import type { ProviderRegistry, TenantProvider } from './provider-registry.ts';

/** What is known of a request once its tenant is. */
export interface TenantState extends RequestState {
  tenantProvider: TenantProvider;
}

/** For handlers that are given a context of a lower tier. */
export function tenantProviderOf({ state }: { state: object }): TenantProvider {
  const { tenantProvider } = state as Partial<TenantState>;
  if (!tenantProvider) throw new Error('the tenant of the request is not resolved');
  return tenantProvider;
}

export type TenantRequestContext = ParameterizedContext<TenantState>;

const fail = defineErrors('http', {
  not_found: { status: 404, message: 'There is nothing at this address.' },
});

const TENANT_PATH = /^\/t\/([a-z0-9-]{1,63})(\/.*)?$/;
/** RFC 8414 §3.1: the well-known part comes before the issuer's path. */
const INSERTED_PATH = /^\/\.well-known\/oauth-authorization-server\/t\/([a-z0-9-]{1,63})$/;

/**
 * The default tenant lives at the root, the others under `/t/<slug>`. The prefix is cut off, so that
 * everything behind routes alike for every tenant.
 */
export function resolveTenant(registry: Pick<ProviderRegistry, 'get'>): Middleware<TenantState> {
  return async (ctx, next) => {
    const { slug, path } = locate(ctx.path);
    const tenantProvider = await registry.get(slug);
    if (!tenantProvider) throw fail('not_found');
    ctx.state.tenantProvider = tenantProvider;
    ctx.state.language.learn({ tenant: tenantProvider.tenant.settings.locale });
    ctx.path = path;
    await next();
  };
}

/** Whose request it is, and for what of theirs. */
export function locate(path: string): { slug: string; path: string } {
  const inserted = INSERTED_PATH.exec(path);
  // One tenant, one address: the default one is not also found under its slug.
  if (inserted?.[1] && inserted[1] !== DEFAULT_TENANT_SLUG)
    return { slug: inserted[1], path: '/.well-known/oauth-authorization-server' };
  const tenant = TENANT_PATH.exec(path);
  if (tenant?.[1] && tenant[1] !== DEFAULT_TENANT_SLUG) return { slug: tenant[1], path: tenant[2] ?? '/' };
  return { slug: DEFAULT_TENANT_SLUG, path };
}
