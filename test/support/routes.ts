import Router from '@koa/router';

export interface Route {
  method: string;
  /** With parameters as `:name`. */
  path: string;
  middleware: readonly object[];
}

/**
 * Watches which routes are mounted, in whatever router.
 * @returns ends that, and tells; of routers within others the path is also told without that of the outer one
 */
export function collectRoutes(): () => Route[] {
  const mounted = new Set<Router>();
  const routes = Reflect.get(Router.prototype, 'routes') as (this: Router) => ReturnType<Router['routes']>;
  Router.prototype.routes = function (this: Router) {
    mounted.add(this);
    return routes.call(this);
  };

  return () => {
    Router.prototype.routes = routes;
    return [...mounted].flatMap(({ stack }) =>
      stack.flatMap(({ methods, path, stack: middleware }) =>
        methods
          .filter((method) => method !== 'HEAD')
          .map((method) => ({ method, path: String(path), middleware })),
      ),
    );
  };
}
