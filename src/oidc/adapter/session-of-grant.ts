import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import { hashId } from './stored-model.ts';

/**
 * The session that a grant belongs to. A grant names it from the start, so it is found by its key however many others
 * the person has. Grants of before they did are looked for among all of the person's.
 */

/** Takes part in a statement that has a grant as `g`. */
const HOLDS_GRANT = `s.tenant_id = g.tenant_id AND s.model = 'Session' AND s.dead_at IS NULL AND s.expires_at > now()
  AND sha256(convert_to(s.payload #>> ARRAY['authorizations', g.client_id, 'grantId'], 'UTF8')) = g.id_hash`;
const NAMED = `SELECT s.session_uid FROM oidc_models s WHERE s.session_uid = g.session_uid AND ${HOLDS_GRANT}`;
const AMONG_ALL = `SELECT s.session_uid FROM oidc_models s WHERE s.account_id = g.account_id AND ${HOLDS_GRANT}`;

/** The condition that the session lives and has not gone on to another grant. */
export const SESSION_OF_GRANT = `AND CASE WHEN g.session_uid IS NULL THEN EXISTS (${AMONG_ALL}) ELSE EXISTS (${NAMED}) END`;

/** The engine's uid of the live session that a grant of the person belongs to. */
export async function sessionUidOfGrant(
  db: Db,
  tenantId: string,
  { grantId, userId }: { grantId: string; userId: string },
): Promise<string | undefined> {
  const { rows } = await prepared<{ session_uid: string | null }>(
    db,
    'oidc_session_uid_of_grant',
    `SELECT CASE WHEN g.session_uid IS NULL THEN (${AMONG_ALL} LIMIT 1) ELSE (${NAMED}) END AS session_uid
       FROM oidc_models g WHERE g.tenant_id = ? AND g.model = 'Grant' AND g.id_hash = ? AND g.account_id = ?`,
    [tenantId, hashId(grantId), userId],
  );
  return rows[0]?.session_uid ?? undefined;
}
