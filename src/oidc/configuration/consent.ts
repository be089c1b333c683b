import type { Configuration, Grant, KoaContextWithOIDC } from 'oidc-provider';
import { coversConsent } from '../../consents/consent.ts';
import type { Consent } from '../../consents/consent.ts';
import { CONSENT_STANDS, consentStore } from '../../consents/consent-store.ts';
import { guarded } from '../adapter/store-errors.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';

/**
 * The grant an authorization request goes on with: the one just consented to, the one this session
 * already has with the client, or a new one from what the person allowed the client earlier. Clients of
 * the house need no consent. Undefined leads to the consent page.
 */
export function consentConfiguration({ db, tenant, directory, settings }: TenantContext) {
  return {
    async loadExistingGrant(ctx): Promise<Grant | undefined> {
      const { client, session, account, result } = ctx.oidc;
      if (!client || !account) return undefined;

      const consented = result?.consent?.grantId;
      if (consented) return consentedGrant(ctx, consented);

      const asked = askedConsent(ctx);
      const grant = await currentGrant(ctx);
      if (grant && coversConsent(consentOf(grant), asked)) return grant;

      const { accountId } = account;
      const isAsking = !(await directory.client(client.clientId))?.firstParty;
      const allowed = isAsking ? await allowedConsent(accountId, client.clientId) : undefined;
      if (isAsking && !(allowed && coversConsent(allowed, asked))) return grant;

      const extended =
        (grant && (await lockGrant(ctx, grant))) ??
        new ctx.oidc.provider.Grant({ accountId, clientId: client.clientId });
      addConsent(extended, asked);
      const unit = currentUnitOfWork();
      if (unit) unit.sessionOfNewGrant = session?.uid;
      await extended.save();
      if (allowed) whileItStands(allowed.id, accountId, client.clientId);
      session?.grantIdFor(client.clientId, extended.jti);
      return extended;
    },
  } satisfies Configuration;

  /**
   * Two tabs may each come back with a first consent. The engine lets only tokens of the session's one grant
   * with the client live, so what the second tab brings joins what the first one began.
   */
  async function consentedGrant(ctx: KoaContextWithOIDC, id: string): Promise<Grant | undefined> {
    const consented = await ctx.oidc.provider.Grant.find(id);
    const current = await currentGrant(ctx);
    if (!consented || !current || current.jti === consented.jti) return consented;
    const joined = await lockGrant(ctx, current);
    if (!joined) return consented;
    addConsent(joined, consentOf(consented));
    await joined.save();
    return joined;
  }

  /** The grant as it is now, and as nobody else changes it meanwhile. */
  async function lockGrant(ctx: KoaContextWithOIDC, { jti }: Grant): Promise<Grant | undefined> {
    const unit = currentUnitOfWork();
    if (unit) unit.locksGrants = true;
    return ctx.oidc.provider.Grant.find(jti);
  }

  /** The session's grant with the client, unless it would end before a refresh token of today. */
  async function currentGrant(ctx: KoaContextWithOIDC): Promise<Grant | undefined> {
    const id = ctx.oidc.session?.grantIdFor(ctx.oidc.client?.clientId ?? '');
    const grant = id ? await ctx.oidc.provider.Grant.find(id) : undefined;
    if (grant?.accountId !== ctx.oidc.account?.accountId) return undefined;
    return grant && grant.remainingTTL > settings.refreshAbsoluteSeconds ? grant : undefined;
  }

  /**
   * A request that holds locks holds the consent as well, before any grant: the order in which somebody who
   * disconnects the app takes both.
   */
  async function allowedConsent(accountId: string, clientId: string) {
    return guarded(async () => {
      const unit = currentUnitOfWork();
      const isHeld = unit?.kind === 'browser' && !unit.isOptimistic;
      const reader = isHeld ? await unit.transaction() : ((await unit?.reader()) ?? db);
      return consentStore(reader, tenant.id).find(accountId, clientId, { isHeld });
    });
  }

  /** Where nothing is held: whoever took the consent back since it was read has found no grant to end with it. */
  function whileItStands(id: string, accountId: string, clientId: string): void {
    const unit = currentUnitOfWork();
    if (!unit?.isOptimistic) return;
    unit.deferred.guard('consent', {
      name: 'consent',
      sql: CONSENT_STANDS,
      bindings: [tenant.id, accountId, clientId, id],
    });
  }
}

/** What the request asks a person to allow. */
function askedConsent(ctx: KoaContextWithOIDC): Consent {
  const { requestParamOIDCScopes, requestParamScopes, requestParamClaims, resourceServers } = ctx.oidc;
  const resources: Consent['resources'] = {};
  for (const [indicator, server] of Object.entries(resourceServers ?? {})) {
    resources[indicator] = [...requestParamScopes].filter((scope) => server.scopes.has(scope));
  }
  const unasked = new Set(['sub', 'sid', 'auth_time', 'acr', 'amr', 'iss']);
  return {
    scopes: [...requestParamOIDCScopes],
    claims: [...requestParamClaims].filter((claim) => !unasked.has(claim)),
    resources,
  };
}

function consentOf(grant: Grant): Consent {
  const resources: Consent['resources'] = {};
  for (const indicator of Object.keys(grant.resources ?? {})) {
    resources[indicator] = split(grant.getResourceScope(indicator));
  }
  return { scopes: split(grant.getOIDCScope()), claims: grant.getOIDCClaims(), resources };
}

export function addConsent(grant: Grant, consent: Consent): void {
  if (consent.scopes.length > 0) grant.addOIDCScope(consent.scopes.join(' '));
  if (consent.claims.length > 0) grant.addOIDCClaims(consent.claims);
  for (const [indicator, scopes] of Object.entries(consent.resources)) {
    if (scopes.length > 0) grant.addResourceScope(indicator, scopes.join(' '));
  }
}

function split(scope: string): string[] {
  return scope.split(' ').filter(Boolean);
}
