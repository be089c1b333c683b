import { EventEmitter } from 'node:events';
import type { Middleware, ParameterizedContext } from 'koa';
import type Provider from 'oidc-provider';

/**
 * The engine gives the context of each request an accessor (`ctx.oidc`). V8 makes the pair of functions behind
 * one in the old space, so it and all that it reaches, which is the whole request, outlives the collections of
 * young objects and fills the old space until the next full one. Here the value takes the accessor's place.
 * @param onContext called with each
 */
export function extendContexts(provider: Provider, onContext: (oidc: EventEmitter) => void): void {
  const middleware: Middleware[] = provider.middleware;
  const engine = middleware.pop();
  if (!engine) throw new Error('the engine has no middleware');
  const handler = valuesForAccessors(onContext);
  middleware.push((ctx, next) => engine(new Proxy(ctx, handler), next));
}

function valuesForAccessors(onContext: (oidc: EventEmitter) => void): ProxyHandler<ParameterizedContext> {
  return {
    defineProperty(target, name, descriptor) {
      if (!descriptor.get) return Reflect.defineProperty(target, name, descriptor);
      const value: unknown = descriptor.get();
      if (value instanceof EventEmitter) onContext(value);
      return Reflect.defineProperty(target, name, { value, configurable: true });
    },
  };
}
