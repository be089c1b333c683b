import { createHash, randomBytes } from 'node:crypto';
import type { Client } from '../../clients/client.ts';
import { eventRow, INSERT_EVENT } from '../../events/record-event.ts';
import type { Actor } from '../../http/actor.ts';
import { defineErrors } from '../../lib/errors.ts';
import { IS_KNOWN_DEVICE, knownDevice, placedDevice } from '../../sessions/known-device.ts';
import type { PlacedDevice } from '../../sessions/known-device.ts';
import { ALL_HOLD } from '../adapter/deferred-writes.ts';
import type { StatementPart } from '../adapter/deferred-writes.ts';
import { guardProof, judgeProof } from '../adapter/sign-in-guards.ts';
import type { Proof } from '../adapter/sign-in-guards.ts';
import { guarded } from '../adapter/store-errors.ts';
import { inUnitOfWork } from '../adapter/unit-of-work.ts';
import { apiIdentifier } from '../api-resource.ts';
import type { TenantProvider } from '../provider-registry.ts';
import { requestedScopes } from './first-party-scopes.ts';
import type { User } from '../../users/user.ts';
import { sessionLimits } from '../session-limits.ts';

/**
 * A grant of the house's own app for somebody who has just proved who they are over the API instead of on a
 * page: a session, a grant and a code, as the authorization endpoint makes them. The code is redeemed at the
 * token endpoint at once and never leaves the process (docs/adr/0017).
 */
export interface FirstPartyCode {
  form: Record<string, string>;
}

/** Who has proved who they are, and for what. */
export interface FirstPartyLogin {
  /** The anonymous caller. */
  actor: Actor;
  user: Pick<User, 'id' | 'accessVersion'>;
  methods: string[];
  at: Date;
  scope: string | undefined;
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
});

const GRANT_TYPES = ['authorization_code', 'refresh_token'] as const;
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
 * @param tell called before anything is made where the account was never used on such a device in such a network
 * @returns undefined where all access has ended since they proved it
 * @throws {AppError} `auth.scope_not_allowed`; `auth.account_closed` for somebody who was disabled meanwhile
 * @throws what `tell` throws: no sign-in may succeed without its notice
 */
export async function createFirstPartyCode(
  tenantProvider: TenantProvider,
  client: Client,
  login: FirstPartyLogin,
  tell: (device: PlacedDevice) => Promise<void>,
): Promise<FirstPartyCode | undefined> {
  const device = placedDevice(login.actor);
  const { tenantId } = login.actor;
  // Known devices are what there is almost always, so the question goes with the answer.
  const code = await makeCode(tenantProvider, client, login, {
    name: 'known-device',
    sql: IS_KNOWN_DEVICE,
    bindings: knownDevice({ tenantId, userId: login.user.id }, device),
  });
  if (code) return code;
  // Nobody is told of a sign-in that is refused.
  if (!(await isOpen(tenantProvider, login))) return undefined;
  await guarded(() => tell(device));
  const told = await makeCode(tenantProvider, client, login, undefined);
  if (told) return told;
  await isOpen(tenantProvider, login);
  return undefined;
}

/** @throws {AppError} `auth.account_closed` */
async function isOpen({ context }: TenantProvider, login: FirstPartyLogin): Promise<boolean> {
  const judged = await guarded(() => judgeProof(context.db, 'api', provedBy(login), { isLocked: false }));
  if (judged === 'closed') throw fail('account_closed');
  return judged === 'stands';
}

function provedBy({ actor: { tenantId }, user }: FirstPartyLogin): Proof {
  return { tenantId, userId: user.id, accessVersion: user.accessVersion };
}

/** @returns undefined, and nothing was made, where the proof or the guard does not hold */
async function makeCode(
  { provider, context }: TenantProvider,
  client: Client,
  login: FirstPartyLogin,
  guard: StatementPart | undefined,
): Promise<FirstPartyCode | undefined> {
  const { db, issuer } = context;
  const {
    user: { id: userId },
    methods,
  } = login;
  const actor: Actor = { ...login.actor, type: 'user', id: userId };
  const resource = apiIdentifier(issuer);
  const { scope, oidcScope, apiScope } = requestedScopes(client, login.scope);
  const authTime = Math.floor(login.at.getTime() / 1000);
  const verifier = randomBytes(32).toString('base64url');
  const redirectUri = String(client.metadata.redirect_uris?.[0]);
  let code = '';

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
      unit.sessionOfNewGrant = session.uid;
      const grantId = await grant.save();
      session.grantIdFor(client.clientId, grantId);
      // The engine's types leave out the argument.
      unit.isWithoutBrowser = true;
      await (session as unknown as StorableSession).save(sessionLimits(context).idleSeconds);

      const model = new provider.AuthorizationCode({
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
      const saved = await model.save();
      const event = eventRow(actor, 'user.login', {
        target: { type: 'user', id: userId },
        data: { client_id: client.clientId, amr: methods },
      });
      guardProof(unit.deferred, 'api', provedBy(login));
      if (guard) unit.deferred.guard('device', guard);
      unit.deferred.write('event', {
        name: '+event',
        sql: `${INSERT_EVENT} WHERE ${ALL_HOLD}`,
        bindings: event,
      });
      if (await unit.writeDeferred()) code = saved;
      return code !== '';
    }),
  );
  if (code === '') return undefined;
  return {
    form: {
      grant_type: 'authorization_code',
      client_id: client.clientId,
      code,
      code_verifier: verifier,
      redirect_uri: redirectUri,
    },
  };
}
