import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import { sha256 } from '../../lib/ids.ts';
import { guarded } from './store-errors.ts';

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

    /** Whether a JWT access token can still be honoured: not revoked by itself, and its grant is alive. */
    isHonoured(jti: string, grantId: string | undefined): Promise<boolean> {
      return guarded(async () => {
        const { rows } = await prepared<{ honoured: boolean }>(
          db,
          `revoked_check${grantId ? '_grant' : ''}`,
          `SELECT NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE tenant_id = ? AND id_hash = ?)
             ${grantId ? `AND EXISTS (SELECT 1 FROM oidc_models WHERE tenant_id = ? AND model = 'Grant' AND id_hash = ? AND dead_at IS NULL)` : ''}
             AS honoured`,
          [tenantId, sha256(jti), ...(grantId ? [tenantId, sha256(grantId)] : [])],
        );
        return rows[0]?.honoured === true;
      });
    },
  };
}
