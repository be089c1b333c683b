import type { Middleware } from 'koa';
import type { TenantState } from '../oidc/tenant-state.ts';
import { apiAccess } from './api-access.ts';
import { apiCors } from './api-cors.ts';
import { openApiDocument } from './openapi.ts';
import { apiRouter } from './router.ts';
import type { ApiDeps } from './router.ts';

/**
 * The JSON API of a tenant under `/api/v1`, and the document that describes it. It reads no cookies and
 * answers in JSON alone; errors fall to the server's one error handler.
 */
export function managementApi({
  version,
  store,
  ...deps
}: ApiDeps & { version: string; store: Parameters<typeof apiAccess>[0] }): Middleware<TenantState> {
  const router = apiRouter(deps);
  const routes = router.routes() as unknown as Middleware;
  const refuseMethods = router.allowedMethods() as unknown as Middleware;
  const identify = apiAccess(store) as unknown as Middleware<TenantState>;
  const documents = new WeakMap<object, string>();

  return async (ctx, next) => {
    if (!/^\/api\/v1(\/|$)/.test(ctx.path)) return next();
    await apiCors(ctx, async () => {
      if (ctx.path === '/api/v1/openapi.json' && (ctx.method === 'GET' || ctx.method === 'HEAD')) {
        ctx.set('Cache-Control', 'public, max-age=300');
        ctx.type = 'application/json';
        ctx.body = documentOf(ctx.state.tenantProvider.context);
        return;
      }
      await identify(ctx, () => refuseMethods(ctx, () => routes(ctx, next)));
    });
  };

  function documentOf(context: TenantState['tenantProvider']['context']): string {
    const known = documents.get(context);
    if (known !== undefined) return known;
    const document = JSON.stringify(openApiDocument(router, { issuer: context.issuer, version }));
    documents.set(context, document);
    return document;
  }
}
