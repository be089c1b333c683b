import type { Client } from '../../clients/client.ts';
import { defineErrors } from '../../lib/errors.ts';
import { apiScopesOf } from '../api-resource.ts';

const fail = defineErrors('auth', {
  scope_not_allowed: { status: 400, message: 'A scope was asked for that this app may not have.' },
});

const OIDC_SCOPES = new Set(['openid', 'profile', 'email', 'phone', 'address', 'offline_access']);
const DEFAULT_SCOPE = 'openid profile email account:read account:write';

/**
 * What a grant of the house's own app is for.
 * @param asked separated by blanks; undefined: the client's default, or the account of the person
 * @returns all of it, and apart what belongs to OpenID Connect and what to the API
 * @throws {AppError} `auth.scope_not_allowed`
 */
export function requestedScopes(
  client: Client,
  asked: string | undefined,
): {
  scope: string;
  oidcScope: string;
  apiScope: string;
} {
  const allowed = client.metadata.scope;
  const scopes = (asked ?? client.defaultScope ?? defaultScopeOf(client)).split(' ').filter(Boolean);
  const api = apiScopesOf(client);
  const isAllowed = (scope: string) =>
    OIDC_SCOPES.has(scope)
      ? typeof allowed !== 'string' || allowed.split(' ').includes(scope)
      : api.includes(scope);
  const beyond = scopes.find((scope) => !isAllowed(scope));
  if (beyond !== undefined) {
    throw fail('scope_not_allowed', { errors: [{ path: '/scope', message: `${beyond} is not allowed` }] });
  }
  return {
    scope: scopes.join(' '),
    oidcScope: scopes.filter((scope) => OIDC_SCOPES.has(scope)).join(' '),
    apiScope: scopes.filter((scope) => !OIDC_SCOPES.has(scope)).join(' '),
  };
}

/** Of a client whose registration lists scopes, those of the default that it lists. */
function defaultScopeOf({ metadata }: Client): string {
  if (typeof metadata.scope !== 'string') return DEFAULT_SCOPE;
  const allowed = metadata.scope.split(' ');
  return DEFAULT_SCOPE.split(' ')
    .filter((scope) => allowed.includes(scope))
    .join(' ');
}
