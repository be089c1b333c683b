import type Provider from 'oidc-provider';
import { clientRecordOf } from './clients.ts';

interface EngineContextClass {
  prototype: {
    entity(key: string, value: object): void;
  };
}

interface EngineContext {
  route: string;
  params?: Record<string, string | undefined>;
}

/**
 * A request without `scope` gets the client's default one (RFC 6749 §3.3), as soon as the client is known
 * and before the engine looks at the scope. Not where it would change the meaning: a refresh without a
 * scope asks for what was granted, and a pushed request brings its own.
 */
export function extendDefaultScope(provider: Provider): void {
  const { prototype } = provider.OIDCContext as unknown as EngineContextClass;
  const assign = prototype.entity;

  prototype.entity = function (this: EngineContext, key, value) {
    assign.call(this, key, value);
    if (
      key !== 'Client' ||
      this.params === undefined ||
      this.params['scope'] !== undefined ||
      !takesScope(this)
    )
      return;
    const scope = clientRecordOf(value)?.defaultScope;
    if (scope) this.params['scope'] = scope;
  };
}

function takesScope({ route, params = {} }: EngineContext): boolean {
  if (route === 'token') return params['grant_type'] === 'client_credentials';
  if (route === 'authorization')
    return params['request_uri'] === undefined && params['request'] === undefined;
  return route === 'pushed_authorization_request';
}
