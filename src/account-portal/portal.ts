import { randomBytes } from 'node:crypto';
import type { Csrf } from '../http/csrf.ts';
import type { Actor } from '../http/actor.ts';
import { anonymousActor } from '../http/request-state.ts';
import { guarded } from '../oidc/adapter/store-errors.ts';
import { ROUTES } from '../oidc/configuration/features.ts';
import { PORTAL_CLIENT_ID, PORTAL_PATH, PORTAL_RETURN_PATH } from '../oidc/extensions/portal-client.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { sessionStore } from '../sessions/session-store.ts';
import type { Tenant } from '../tenants/tenant.ts';
import type { UserProfile } from '../users/user-claims.ts';
import { userStore } from '../users/user-store.ts';
import { keepsAccess } from '../users/user.ts';
import type { User } from '../users/user.ts';

/**
 * Who is at the account portal. It has no session of its own: the browser's session with the server says who
 * is signed in, and the ledger when they last proved it.
 */
export interface Portal {
  user: User;
  profile: UserProfile;
  tenant: Tenant;
  /** In whose name changes are recorded. */
  actor: Actor & { id: string };
  /** The engine's uid of the session. */
  sessionUid: string;
  /** Whether the last proof of identity is recent enough for something sensitive. */
  isFresh: boolean;
  /** `/account`, below the tenant's path. */
  basePath: string;
  /** For the forms of this session. */
  csrf: () => string;
}

/** A proof of identity is good for this long before it is asked for again. */
const FRESH_SECONDS = 300;

/** @returns undefined when nobody is signed in who may be here */
export async function loadPortal(ctx: TenantRequestContext, csrf: Csrf): Promise<Portal | undefined> {
  const { provider, context, tenant } = ctx.state.tenantProvider;
  const { db, mountPath } = context;
  const { accountId, uid } = await provider.Session.get(ctx);
  if (accountId === undefined) return undefined;

  return guarded(async () => {
    const [found, provedSecondsAgo] = await Promise.all([
      userStore(db, tenant.id).findWithProfile(accountId),
      sessionStore(db, tenant.id).secondsSinceProof(uid),
    ]);
    if (!found || !keepsAccess(found.user)) return undefined;
    ctx.state.language.learn({ account: found.profile.claims.locale });
    return {
      ...found,
      tenant,
      actor: { ...anonymousActor(ctx, tenant.id), type: 'user', id: found.user.id },
      sessionUid: uid,
      isFresh: provedSecondsAgo !== undefined && provedSecondsAgo < FRESH_SECONDS,
      basePath: `${mountPath}${PORTAL_PATH}`,
      csrf: () => csrf.token(bindingOf(uid)),
    };
  });
}

/** Forms belong to the session, so those of somebody else who was signed in here are worth nothing. */
export function bindingOf(sessionUid: string): string {
  return `account:${sessionUid}`;
}

/**
 * An authorization request of the portal, by which the person signs in or proves again who they are.
 * @param returnPath where they go on, below `/account`
 */
export function signInPath(
  ctx: TenantRequestContext,
  { returnPath, isStepUp }: { returnPath: string; isStepUp: boolean },
): string {
  const { issuer, mountPath } = ctx.state.tenantProvider.context;
  const query = new URLSearchParams({
    client_id: PORTAL_CLIENT_ID,
    redirect_uri: `${issuer}${PORTAL_RETURN_PATH}`,
    response_type: 'code',
    scope: 'openid',
    state: returnPath,
    // Its verifier is not kept: nobody can ever redeem the code.
    code_challenge: randomBytes(32).toString('base64url'),
    code_challenge_method: 'S256',
    ...(isStepUp ? { prompt: 'login' } : {}),
  });
  return `${mountPath}${ROUTES.authorization}?${query.toString()}`;
}

/** @returns a path below the portal, whatever was asked for */
export function safeReturnPath(basePath: string, wanted: unknown): string {
  if (typeof wanted !== 'string') return basePath;
  const isBelow =
    wanted === basePath || wanted.startsWith(`${basePath}/`) || wanted.startsWith(`${basePath}?`);
  // Neither `..` nor `\` nor anything else a browser would read differently.
  return isBelow && /^[\w/?=&-]+$/.test(wanted) ? wanted : basePath;
}
