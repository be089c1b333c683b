import type { Middleware } from 'koa';
import { can } from '../access/can.ts';
import type { Db } from '../db/database.ts';
import type { ApiAccess, Caller } from '../http/caller.ts';
import type { Clock } from '../lib/clock.ts';
import { defineErrors } from '../lib/errors.ts';
import type { KeyRing } from '../lib/key-ring.ts';
import type { Sealer } from '../lib/sealer.ts';
import { callerOf } from '../oidc/access-tokens/caller-of.ts';
import { clientOfBasic } from '../oidc/access-tokens/client-of-basic.ts';
import { apiIdentifier } from '../oidc/api-resource.ts';
import type { TenantRequestContext, TenantState } from '../oidc/tenant-state.ts';
import { runOnce } from './idempotency.ts';

const fail = defineErrors('http', {
  invalid_token: {
    status: 401,
    message: 'The access token is not valid for this API: expired, revoked, or issued for something else.',
  },
  invalid_client: { status: 401, message: 'The client is unknown, or its secret is wrong.' },
});

/**
 * Proves who calls: by a bearer token of this server, or by a client's secret where an endpoint takes it.
 * Cookies are never looked at, so no page of another site can act for anybody (ASVS 8.2, CSRF).
 */
export function apiAccess({
  db,
  sealer,
  keyRing,
  now,
}: {
  db: Db;
  sealer: Sealer;
  keyRing: KeyRing;
  now: Clock;
}): Middleware<TenantState & { api: ApiAccess }> {
  return async (ctx, next) => {
    const { context } = ctx.state.tenantProvider;
    const tenantId = context.tenant.id;
    const realm = apiIdentifier(context.issuer);
    ctx.state.api = {
      tenantId,
      realm,
      caller: ({ clientCredentials }) => identify(ctx, { clientCredentials, realm, now: now() }),
      can,
      once: (request, work) => runOnce({ db, sealer, keyRing, tenantId }, request, work),
    };
    await next();
  };
}

async function identify(
  ctx: TenantRequestContext,
  { clientCredentials, realm, now }: { clientCredentials: boolean; realm: string; now: Date },
): Promise<Caller | undefined> {
  const { tenantProvider, ip, userAgent, correlationId } = ctx.state;
  const [, scheme = '', credentials = ''] = /^(\S+) +(\S+)$/.exec(ctx.get('Authorization')) ?? [];
  const request = { ip, userAgent, correlationId };

  if (scheme.toLowerCase() === 'bearer') {
    const caller = await callerOf(tenantProvider, credentials);
    if (caller) return { ...caller, ...request };
    ctx.set('WWW-Authenticate', `Bearer realm="${realm}", error="invalid_token"`);
    throw fail('invalid_token');
  }
  if (clientCredentials && scheme.toLowerCase() === 'basic') {
    const caller = await clientOfBasic(tenantProvider, credentials, { ip, now });
    if (caller) return { ...caller, ...request };
    ctx.set('WWW-Authenticate', `Basic realm="${realm}"`);
    throw fail('invalid_client');
  }
  return undefined;
}
