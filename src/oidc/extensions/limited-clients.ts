import type { EventEmitter } from 'node:events';
import type { Client, KoaContextWithOIDC } from 'oidc-provider';
import { requestStateOf } from '../../http/request-state.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import { isRefusal } from '../../http/rate-limit.ts';
import type { TenantContext } from '../provider-deps.ts';

/** Where a client proves itself, if it is one that can. */
const PROVING = new Set(['token', 'introspection', 'revocation', 'pushed_authorization_request']);

/**
 * Counts requests for the client that they name, from the moment the engine knows it and before it verifies
 * anything. Secrets are counted where they are compared.
 * @returns for the context of each request
 */
export function limitedClients({ tenant, clientLimits }: TenantContext): (oidc: EventEmitter) => void {
  return (oidc) => oidc.once('assign.client', onClient);

  function onClient(ctx: KoaContextWithOIDC, client: Client): void {
    const unit = currentUnitOfWork();
    // Nobody sent what the engine is asked from inside the process.
    if (!unit || unit.takesRequests) return;
    const state = requestStateOf(ctx);
    const { route } = ctx.oidc;
    const attempt = { tenantId: tenant.id, clientId: client.clientId, ip: state.ip };

    if (route === 'authorization' || (PROVING.has(route) && client.clientAuthMethod === 'none')) {
      state.provesNothing = true;
      const leave = enterNamed(ctx, attempt);
      unit.onEnd(() => leave(!unit.needsLocks && isRefusal(state, ctx.status)));
    } else if (PROVING.has(route) && client.clientAuthMethod === 'private_key_jwt') {
      const leave = clientLimits.enterUnproved(attempt);
      // Other refusals than this one may come before the proof or after it.
      unit.onEnd(() => leave(ctx.status < 400 ? 'proved' : ctx.status === 401 ? 'failed' : 'neither'));
    }
  }

  function enterNamed(ctx: KoaContextWithOIDC, attempt: Parameters<typeof clientLimits.enterNamed>[0]) {
    try {
      return clientLimits.enterNamed(attempt);
    } catch (err) {
      // The engine would put a wrong redirect URI in the place of this error, which never redirects.
      Reflect.set(ctx.oidc, 'redirectUriCheckPerformed', true);
      throw err;
    }
  }
}
