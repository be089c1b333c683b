import type { Grant } from 'oidc-provider';
import { NO_CONSENT } from '../consents/consent.ts';
import type { Consent } from '../consents/consent.ts';
import { consentStore } from '../consents/consent-store.ts';
import { recordEvent } from '../events/record-event.ts';
import { anonymousActor } from '../http/request-state.ts';
import { isId } from '../lib/ids.ts';
import { apiIdentifier } from '../oidc/api-resource.ts';
import { currentUnitOfWork } from '../oidc/adapter/unit-of-work.ts';
import { addConsent } from '../oidc/configuration/consent.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { finishInteraction } from './finish-interaction.ts';
import { textOf } from './interaction-context.ts';
import type { InteractionContext } from './interaction-context.ts';
import type { ConsentGroup } from './scope-texts.ts';

/** What the app asks for, and what of it the person allowed before. */
export interface ConsentRequest {
  asked: Consent;
  groups: ConsentGroup[];
}

const ACCOUNT_SCOPES = ['openid', 'profile', 'email', 'phone', 'address', 'offline_access'];

export async function consentRequest({
  interaction,
  tenantProvider,
  app,
  sessionUser,
}: InteractionContext): Promise<ConsentRequest> {
  const { db, tenant, directory, issuer } = tenantProvider.context;
  const { params, prompt } = interaction;
  const requested = textOf(params['scope']).split(' ').filter(Boolean);
  const before =
    (sessionUser && (await consentStore(db, tenant.id).find(sessionUser.id, app.id))) ?? NO_CONSENT;

  const scopes = requested.filter((scope) => ACCOUNT_SCOPES.includes(scope));
  const claims = listOf(prompt.details['missingOIDCClaims']);
  const groups: ConsentGroup[] = [
    {
      resource: null,
      scopes: [
        ...scopes.map((name) => ({ name, description: null, isNew: !before.scopes.includes(name) })),
        ...claims.map((name) => ({ name, description: null, isClaim: true, isNew: true })),
      ],
    },
  ];

  const resources: Consent['resources'] = {};
  for (const identifier of listOf(params['resource'])) {
    const resource = await directory.resource(identifier);
    const asked = resource?.scopes.filter(({ name }) => requested.includes(name)) ?? [];
    if (!resource || asked.length === 0) continue;
    resources[identifier] = asked.map(({ name }) => name);
    groups.push({
      resource: identifier === apiIdentifier(issuer) ? 'own_api' : { name: resource.name },
      scopes: asked.map(({ name, description }) => ({
        name,
        description,
        isNew: !before.resources[identifier]?.includes(name),
      })),
    });
  }
  return { asked: { scopes, claims, resources }, groups: groups.filter((group) => group.scopes.length > 0) };
}

/**
 * Apps of the house are not asked for. Not so native ones whose redirect anybody on the device can claim:
 * there the person is the only one who can tell who is asking (RFC 8252 §8.6).
 */
export async function needsNoConsent({
  interaction,
  tenantProvider,
  app,
}: InteractionContext): Promise<boolean> {
  const client = await tenantProvider.context.directory.client(app.id);
  if (client?.firstParty !== true) return false;
  const isNative = interaction.prompt.reasons.includes('native_client_prompt');
  return !isNative || String(interaction.params['redirect_uri']).startsWith('https://');
}

export async function allowConsent(ctx: TenantRequestContext, context: InteractionContext): Promise<string> {
  const { asked } = await consentRequest(context);
  const { interaction, tenantProvider, app } = context;
  const { provider, context: tenantContext } = tenantProvider;
  const accountId = interaction.session?.accountId;
  if (accountId === undefined || !isId(accountId)) throw new TypeError('consent without an account');

  return finishInteraction(ctx, context, async (trx) => {
    // First, as whoever takes it back does.
    const all = await consentStore(trx, tenantContext.tenant.id).add(accountId, app.id, asked);
    const grant = await grantOf(context, accountId);
    addConsent(grant, asked);
    const grantId = await grant.save();
    const actor = { ...anonymousActor(ctx, tenantContext.tenant.id), type: 'user' as const, id: accountId };
    await recordEvent(trx, actor, 'consent.granted', {
      target: { type: 'client', id: app.id },
      data: { user_id: accountId, asked, allowed: all },
    });
    return { consent: { grantId } };
  });

  async function grantOf({ interaction: { grantId } }: InteractionContext, owner: string): Promise<Grant> {
    const unit = currentUnitOfWork();
    if (unit) {
      // Two tabs may add to one grant at once.
      unit.locksGrants = true;
      unit.sessionOfNewGrant = interaction.session?.uid;
    }
    const existing = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    return existing ?? new provider.Grant({ accountId: owner, clientId: app.id });
  }
}

function listOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
