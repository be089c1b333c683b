import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import type { Caller } from '../../http/caller.ts';
import { isId, sha256 } from '../../lib/ids.ts';
import { KEEPS_ACCESS } from '../../users/user-row.ts';
import { SESSION_OF_GRANT } from '../adapter/session-of-grant.ts';
import { guarded } from '../adapter/store-errors.ts';
import { apiIdentifier } from '../api-resource.ts';
import type { TenantProvider } from '../provider-registry.ts';

/** What a token for the server's own API says, whatever its format. */
interface ApiToken {
  /** Of a JWT, which may be on the revocation list. */
  jti: string | undefined;
  clientId: string;
  /** Absent of a service's token. */
  userId: string | undefined;
  grantId: string | undefined;
  /** Of a JWT that ends with its session. */
  isSessionBound: boolean;
  scope: string;
}

/**
 * Who calls the API with this token. One statement answers whether it was revoked, whether its grant lives
 * and whether the person may still do anything, so that every replica refuses from the moment of the change.
 * @returns undefined for a token that is not of this issuer, not for the API, expired, revoked, or bound to a
 *   key, whose proof the API does not take; and for people and clients that are gone or not active
 * @throws StoreUnavailable when nobody can tell
 */
export async function callerOf(
  tenantProvider: TenantProvider,
  token: string,
): Promise<Omit<Caller, 'ip' | 'userAgent' | 'correlationId'> | undefined> {
  const { context } = tenantProvider;
  const { db, tenant, directory } = context;
  const found = await findToken(tenantProvider, token);
  if (!found || !(await directory.client(found.clientId))) return undefined;

  const scopes = new Set(found.scope.split(' ').filter(Boolean));
  const { clientId, userId, grantId } = found;
  const standing = await guarded(() => standingOf(db, tenant.id, found));
  if (!standing.isHonoured) return undefined;
  const base = { tenantId: tenant.id, clientId, scopes, grantId };
  if (userId === undefined) return { ...base, type: 'client', id: clientId, roles: [] };
  return standing.isActive ? { ...base, type: 'user', id: userId, roles: standing.roles } : undefined;
}

async function findToken(
  { context, provider, accessTokens }: TenantProvider,
  token: string,
): Promise<ApiToken | undefined> {
  const audience = apiIdentifier(context.issuer);
  if (token.includes('.')) {
    const claims = await accessTokens.verify(token);
    if (!claims || claims.aud !== audience || 'cnf' in claims) return undefined;
    const { jti, client_id: clientId, sub, grant_id: grantId, scope = '' } = claims;
    // A service's token has its client as the subject (RFC 9068 §2.2).
    return {
      jti,
      clientId,
      userId: grantId === undefined && sub === clientId ? undefined : sub,
      grantId,
      isSessionBound: claims.session_bound === true,
      scope,
    };
  }
  if (token.includes('\0')) return undefined;
  const stored = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
  if (!stored || stored.isExpired || stored.aud !== audience || stored.isSenderConstrained())
    return undefined;
  return {
    jti: undefined,
    clientId: String(stored.clientId),
    userId: 'accountId' in stored ? stored.accountId : undefined,
    grantId: 'grantId' in stored ? stored.grantId : undefined,
    // Found with its session, or not at all.
    isSessionBound: false,
    scope: stored.scope ?? '',
  };
}

interface Standing {
  isHonoured: boolean;
  /** As `keepsAccess` says: strangers who guess sign nobody out. */
  isActive: boolean;
  roles: string[];
}

async function standingOf(
  db: Db,
  tenantId: string,
  { jti, grantId, userId, isSessionBound }: ApiToken,
): Promise<Standing> {
  const { rows } = await prepared<{ is_honoured: boolean; is_active: boolean; roles: string[] }>(
    db,
    `api-caller${isSessionBound ? '-in-session' : ''}`,
    `SELECT NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE tenant_id = ?::uuid AND id_hash = ?::bytea)
        AND (?::bytea IS NULL OR EXISTS (SELECT 1 FROM oidc_models g
              WHERE g.tenant_id = ?::uuid AND g.model = 'Grant' AND g.id_hash = ?::bytea AND g.dead_at IS NULL
              ${isSessionBound ? SESSION_OF_GRANT : ''})) AS is_honoured,
      EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = ?::uuid AND u.id = ?::uuid AND ${KEEPS_ACCESS}) AS is_active,
      ARRAY (SELECT r.name FROM role_assignments a JOIN roles r ON r.id = a.role_id
              WHERE a.tenant_id = ?::uuid AND a.user_id = ?::uuid ORDER BY r.name) AS roles`,
    [
      tenantId,
      jti === undefined ? null : sha256(jti),
      grantId === undefined ? null : sha256(grantId),
      tenantId,
      grantId === undefined ? null : sha256(grantId),
      tenantId,
      idOrNull(userId),
      tenantId,
      idOrNull(userId),
    ],
  );
  const [row] = rows;
  if (!row) throw new Error('a SELECT without FROM returned no row');
  return { isHonoured: row.is_honoured, isActive: row.is_active, roles: row.roles };
}

function idOrNull(id: string | undefined): string | null {
  return id !== undefined && isId(id) ? id : null;
}
