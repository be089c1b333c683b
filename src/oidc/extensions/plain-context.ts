import type { Middleware, ParameterizedContext } from 'koa';
import type Provider from 'oidc-provider';

/**
 * The engine gives the context of each request an accessor (`ctx.oidc`). V8 makes the pair of functions behind
 * one in the old space, so it and all that it reaches, which is the whole request, outlives the collections of
 * young objects and fills the old space until the next full one. Here the value takes the accessor's place.
 */
export function extendContexts(provider: Provider): void {
  const middleware: Middleware[] = provider.middleware;
  const engine = middleware.pop();
  if (!engine) throw new Error('the engine has no middleware');
  middleware.push((ctx, next) => engine(new Proxy(ctx, VALUES_FOR_ACCESSORS), next));
}

const VALUES_FOR_ACCESSORS: ProxyHandler<ParameterizedContext> = {
  defineProperty(target, name, descriptor) {
    if (!descriptor.get) return Reflect.defineProperty(target, name, descriptor);
    return Reflect.defineProperty(target, name, { value: descriptor.get(), configurable: true });
  },
};
