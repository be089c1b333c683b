import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import { sha256 } from '../../lib/ids.ts';
import { KEEPS_ACCESS } from '../../users/user-row.ts';
import { SESSION_OF_GRANT } from './session-of-grant.ts';
import { guarded } from './store-errors.ts';

const LIVE_GRANT_OF_USER = `
  SELECT 1 FROM oidc_models g JOIN users u ON u.tenant_id = g.tenant_id AND u.id = g.account_id
   WHERE g.tenant_id = ? AND g.model = 'Grant' AND g.id_hash = ? AND g.dead_at IS NULL AND ${KEEPS_ACCESS}`;

/**
 * JWT access tokens that were revoked before they expired (RFC 7009). They are valid by themselves, so
 * whoever verifies them offline cannot know; introspection asks here.
 */
export function revocationList(db: Db, tenantId: string) {
  return {
    /** @param expiresAt seconds since the epoch. @returns whether this call revoked it */
    async add(jti: string, expiresAt: number): Promise<boolean> {
      const { rowCount } = await prepared(
        db,
        'revoked_add',
        `INSERT INTO revoked_tokens (tenant_id, id_hash, expires_at) VALUES (?, ?, to_timestamp(?::float8))
         ON CONFLICT DO NOTHING`,
        [tenantId, sha256(jti), expiresAt],
      );
      return rowCount === 1;
    },

    /**
     * Whether a JWT access token can still be honoured: not revoked by itself, its grant is alive, the person
     * keeps their access, and the session it ends with is alive.
     * @param source.isSessionBound of a token without offline access: it ends with the session of its grant
     */
    isHonoured(
      jti: string,
      { grantId, isSessionBound = false }: { grantId?: string | undefined; isSessionBound?: boolean },
    ): Promise<boolean> {
      return guarded(async () => {
        const isBound = grantId !== undefined && isSessionBound;
        const { rows } = await prepared<{ honoured: boolean }>(
          db,
          `revoked_check${grantId ? '_grant' : ''}${isBound ? '_session' : ''}`,
          `SELECT NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE tenant_id = ? AND id_hash = ?)
             ${grantId ? `AND EXISTS (${LIVE_GRANT_OF_USER} ${isBound ? SESSION_OF_GRANT : ''})` : ''}
             AS honoured`,
          [tenantId, sha256(jti), ...(grantId ? [tenantId, sha256(grantId)] : [])],
        );
        return rows[0]?.honoured === true;
      });
    },
  };
}
