import type Provider from 'oidc-provider';
import { replayStore } from '../adapter/replay-store.ts';
import type { TenantContext } from '../provider-deps.ts';

/** The engine looks, then stores, and two requests pass in between: here the insert itself decides. */
export function extendReplayDetection(provider: Provider, { db, tenant }: TenantContext): void {
  const store = replayStore(db, tenant.id);
  provider.ReplayDetection.unique = (issuer, jti, expiresAt) => store.remember(issuer, jti, expiresAt);
}
