import { clientStore } from '../clients/client-store.ts';
import { mergeConsents, NO_CONSENT } from '../consents/consent.ts';
import type { Consent } from '../consents/consent.ts';
import { consentStore } from '../consents/consent-store.ts';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { defineErrors } from '../lib/errors.ts';
import { revokeAppAccess } from '../oidc/adapter/revoke-access.ts';
import { PORTAL_CLIENT_ID } from '../oidc/extensions/portal-client.ts';
import type { Resource } from '../resources/resource.ts';
import { resourceStore } from '../resources/resource-store.ts';
import type { ConsentGroup } from '../interactions/scope-texts.ts';

/** Which apps have access to somebody's account, what each may do, and the end of it. */
export interface ConnectedApp {
  clientId: string;
  name: string;
  /** Host of its web site, if registered. */
  host: string | null;
  since: Date;
  groups: ConsentGroup[];
}

const fail = defineErrors('app', {
  not_connected: { status: 404, message: 'That app has no access to the account.' },
});

interface GrantRow {
  client_id: string;
  created_at: Date;
  payload: { openid?: { scope?: string }; resources?: Record<string, string> };
}

/**
 * By what people allowed, and for apps that need not ask by what they were given.
 * @param options.ownApi the identifier of this server's API, which is registered nowhere
 */
export async function listConnectedApps(
  db: Db,
  tenantId: string,
  userId: string,
  { ownApi }: { ownApi: string },
): Promise<ConnectedApp[]> {
  const consents = await consentStore(db, tenantId).list(userId);
  const grants: GrantRow[] = await db('oidc_models')
    .where({ tenant_id: tenantId, model: 'Grant', account_id: userId })
    .whereNull('dead_at')
    .where('expires_at', '>', db.fn.now())
    .whereNot({ client_id: PORTAL_CLIENT_ID })
    .select('client_id', 'created_at', 'payload');

  const found = new Map<string, { since: Date; allowed: Consent }>();
  for (const { clientId, since, ...allowed } of [...consents, ...grants.map(fromGrant)]) {
    const known = found.get(clientId);
    found.set(clientId, {
      since: known && known.since < since ? known.since : since,
      allowed: mergeConsents(known?.allowed ?? NO_CONSENT, allowed),
    });
  }

  const clients = await clientStore(db, tenantId).findAll([...found.keys()]);
  const identifiers = [...found.values()].flatMap(({ allowed }) => Object.keys(allowed.resources));
  const resources = await resourceStore(db, tenantId).findByIdentifiers(identifiers);
  const known = new Map(resources.map((resource) => [resource.identifier, resource]));

  // Of a client that was deleted the access has ended with it.
  const apps = clients.flatMap(({ clientId, name, metadata: { client_uri: home } }) => {
    const app = found.get(clientId);
    if (!app) return [];
    const host = (home && URL.parse(home)?.host) || null;
    return { clientId, name, host, since: app.since, groups: groupsOf(app.allowed, known, ownApi) };
  });
  return apps.toSorted((a, b) => a.name.localeCompare(b.name));
}

/**
 * Ends everything the app may do in the person's name, also offline, and forgets what they allowed. That comes first:
 * a request that builds a grant on it holds it, and then the grant is found.
 * @throws {AppError} `app.not_connected`
 */
export async function disconnectApp(db: Db, actor: Actor & { id: string }, clientId: string): Promise<void> {
  await db.transaction(async (trx) => {
    const hadConsent = await consentStore(trx, actor.tenantId).remove(actor.id, clientId);
    const hadGrants = await revokeAppAccess(trx, actor.tenantId, { userId: actor.id, clientId });
    if (!hadGrants && !hadConsent) throw fail('not_connected');
    await recordEvent(trx, actor, 'consent.revoked', {
      target: { type: 'client', id: clientId },
      data: { user_id: actor.id },
    });
  });
}

function fromGrant({ client_id: clientId, created_at: since, payload }: GrantRow) {
  const split = (scope = '') => scope.split(' ').filter(Boolean);
  return {
    clientId,
    since,
    scopes: split(payload.openid?.scope),
    claims: [],
    resources: Object.fromEntries(
      Object.entries(payload.resources ?? {}).map(([identifier, scope]) => [identifier, split(scope)]),
    ),
  };
}

function groupsOf(
  { scopes, claims, resources }: Consent,
  known: ReadonlyMap<string, Resource>,
  ownApi: string,
): ConsentGroup[] {
  const account: ConsentGroup = {
    resource: null,
    scopes: [
      ...scopes.map((name) => ({ name, description: null, isNew: false })),
      ...claims.map((name) => ({ name, isClaim: true, description: null, isNew: false })),
    ],
  };
  const others = Object.entries(resources).map(([identifier, allowed]): ConsentGroup => {
    const resource = known.get(identifier);
    return {
      resource: identifier === ownApi ? 'own_api' : { name: resource?.name ?? identifier },
      scopes: allowed.map((name) => ({
        name,
        description: resource?.scopes.find((scope) => scope.name === name)?.description ?? null,
        isNew: false,
      })),
    };
  });
  return [account, ...others].filter((group) => group.scopes.length > 0);
}
