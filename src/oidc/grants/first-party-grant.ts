import { createHash, randomBytes } from 'node:crypto';
import type { Client } from '../../clients/client.ts';
import { eventRow, INSERT_EVENT } from '../../events/record-event.ts';
import type { Actor } from '../../http/actor.ts';
import { defineErrors } from '../../lib/errors.ts';
import { ALL_HOLD } from '../adapter/deferred-writes.ts';
import { guarded } from '../adapter/store-errors.ts';
import { inUnitOfWork } from '../adapter/unit-of-work.ts';
import { apiIdentifier, apiScopesOf } from '../api-resource.ts';
import type { TenantProvider } from '../provider-registry.ts';
import { sessionLimits } from '../session-limits.ts';

/**
 * A grant of the house's own app for somebody who has just proved who they are over the API instead of on a
 * page: a session, a grant and a code, as the authorization endpoint makes them. The code is redeemed at the
 * token endpoint at once and never leaves the process (docs/adr/0017).
 */
export interface FirstPartyCode {
  form: Record<string, string>;
  sessionUid: string;
}

interface StorableSession {
  save(ttlSeconds: number): Promise<unknown>;
}

const fail = defineErrors('auth', {
  not_available: {
    status: 403,
    message: 'This tenant issues no tokens over the API: it names no first-party client.',
  },
  client_unsuitable: {
    status: 403,
    message:
      'The first-party client of this tenant cannot be used here: it must be a public client of the house with authorization_code, refresh_token and a redirect URI.',
  },
  account_closed: { status: 403, message: 'This account cannot be used any more.' },
  scope_not_allowed: { status: 400, message: 'A scope was asked for that this app may not have.' },
});

const GRANT_TYPES = ['authorization_code', 'refresh_token'] as const;
const OIDC_SCOPES = new Set(['openid', 'profile', 'email', 'phone', 'address', 'offline_access']);
const DEFAULT_SCOPE = 'openid profile email account:read account:write';

/**
 * The client in whose name the API issues tokens. A public one: whoever refreshes over the API proves no
 * more than whoever refreshes at the token endpoint.
 * @throws {AppError} `auth.not_available`, `auth.client_unsuitable`
 */
export async function firstPartyClient({ context }: TenantProvider): Promise<Client> {
  const { firstPartyClientId } = context.tenant.settings;
  if (firstPartyClientId === undefined) throw fail('not_available');
  const client = await context.directory.client(firstPartyClientId);
  const { metadata } = client ?? {};
  const isSuitable =
    client?.firstParty === true &&
    metadata?.token_endpoint_auth_method === 'none' &&
    GRANT_TYPES.every((type) => metadata.grant_types?.includes(type)) &&
    metadata.redirect_uris?.[0] !== undefined;
  if (!client || !isSuitable) throw fail('client_unsuitable');
  return client;
}

/**
 * @param login.methods how they proved it (RFC 8176)
 * @param login.at when
 * @throws {AppError} `auth.scope_not_allowed`; `auth.account_closed` for somebody who was disabled meanwhile
 */
export async function createFirstPartyCode(
  { provider, context }: TenantProvider,
  client: Client,
  login: { actor: Actor; userId: string; methods: string[]; at: Date; scope: string | undefined },
): Promise<FirstPartyCode> {
  const { db, issuer } = context;
  const { userId, methods } = login;
  const actor: Actor = { ...login.actor, type: 'user', id: userId };
  const resource = apiIdentifier(issuer);
  const { scope, oidcScope, apiScope } = requestedScopes(client, login.scope);
  const authTime = Math.floor(login.at.getTime() / 1000);
  const verifier = randomBytes(32).toString('base64url');
  const redirectUri = String(client.metadata.redirect_uris?.[0]);
  const made = { code: '', sessionUid: '' };

  await guarded(() =>
    // All of it is new, so it can wait for the end and go to the database as one statement.
    inUnitOfWork({ db, kind: 'browser', isOptimistic: true, actor: () => actor }, async (unit) => {
      const engineClient = await provider.Client.find(client.clientId);
      if (!engineClient) throw fail('client_unsuitable');

      const session = new provider.Session();
      session.loginAccount({ accountId: userId, loginTs: authTime, amr: methods });
      session.ensureClientContainer(client.clientId);
      const grant = new provider.Grant({ accountId: userId, clientId: client.clientId });
      grant.addOIDCScope(oidcScope);
      if (apiScope) grant.addResourceScope(resource, apiScope);
      const grantId = await grant.save();
      session.grantIdFor(client.clientId, grantId);
      // The engine's types leave out the argument.
      unit.isWithoutBrowser = true;
      await (session as unknown as StorableSession).save(sessionLimits(context).idleSeconds);

      const code = new provider.AuthorizationCode({
        accountId: userId,
        amr: methods,
        authTime,
        client: engineClient,
        codeChallenge: createHash('sha256').update(verifier).digest('base64url'),
        codeChallengeMethod: 'S256',
        expiresWithSession: !scope.split(' ').includes('offline_access'),
        grantId,
        gty: 'authorization_code',
        redirectUri,
        ...(apiScope ? { resource } : {}),
        scope,
        sessionUid: session.uid,
        sid: session.sidFor(client.clientId),
      });
      made.code = await code.save();
      made.sessionUid = session.uid;
      const event = eventRow(actor, 'user.login', {
        target: { type: 'user', id: userId },
        data: { client_id: client.clientId, amr: methods },
      });
      unit.deferred.guard('account', {
        name: 'active',
        sql: STILL_ACTIVE,
        bindings: [actor.tenantId, userId],
      });
      unit.deferred.write('event', {
        name: '+event',
        sql: `${INSERT_EVENT} WHERE ${ALL_HOLD}`,
        bindings: event,
      });
      if (!(await unit.writeDeferred())) throw fail('account_closed');
      return true;
    }),
  );
  return {
    sessionUid: made.sessionUid,
    form: {
      grant_type: 'authorization_code',
      client_id: client.clientId,
      code: made.code,
      code_verifier: verifier,
      redirect_uri: redirectUri,
    },
  };
}

function requestedScopes(client: Client, asked: string | undefined) {
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

/** Whoever disabled the user meanwhile has ended all sessions there were; this one must not come after. */
const STILL_ACTIVE = `SELECT 1 FROM users
  WHERE tenant_id = ?::uuid AND id = ?::uuid AND status = 'active' AND deleted_at IS NULL FOR SHARE`;
