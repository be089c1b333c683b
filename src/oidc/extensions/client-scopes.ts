import { errors } from 'oidc-provider';
import type Provider from 'oidc-provider';
import type { Client } from '../../clients/client.ts';
import { clientRecordOf } from './clients.ts';

interface EngineContextClass {
  prototype: {
    entity: (key: string, value: object) => void;
  };
}

type Parameters = Record<string, unknown>;

interface EngineContext {
  route: string;
  params?: Parameters;
  body?: Parameters;
}

/**
 * The scopes of the request and those of its client, as soon as the client is known and before the engine
 * looks at them: a request without `scope` gets the client's default one (RFC 6749 §3.3), and none gets
 * beyond what its client may ask for. The engine itself knows the scopes of OpenID Connect alone.
 */
export function extendClientScopes(provider: Provider): void {
  const { prototype } = provider.OIDCContext as unknown as EngineContextClass;
  const assign = prototype.entity;

  prototype.entity = function (this: EngineContext, key, value) {
    assign.call(this, key, value);
    const client = key === 'Client' ? clientRecordOf(value) : undefined;
    const request = client && requestOf(this);
    if (!request) return;
    if (!request['scope'] && client.defaultScope) request['scope'] = client.defaultScope;
    else checkScopes(client, request['scope']);
  };
}

/**
 * Where the request has its scope, if it is one that brings its own: a refresh asks for what was granted,
 * and a pushed request was looked at when it was pushed.
 */
function requestOf({ route, params = {}, body }: EngineContext): Parameters | undefined {
  if (route === 'token') return params['grant_type'] === 'client_credentials' ? params : undefined;
  if (route === 'authorization') return params['request_uri'] === undefined ? params : undefined;
  // The parameters are read from the body once more when the client has proved itself.
  return route === 'pushed_authorization_request' ? body : undefined;
}

/** What is no text or no list of scopes is for the engine to refuse. */
function checkScopes({ metadata }: Client, requested: unknown): void {
  const allowed = metadata['scope'];
  if (typeof requested !== 'string' || typeof allowed !== 'string') return;
  const beyond = requested.split(' ').find((scope) => scope !== '' && !allowed.split(' ').includes(scope));
  if (beyond !== undefined) throw new errors.InvalidScope('requested scope is not allowed', beyond);
}
