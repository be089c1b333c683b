import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import { KEEPS_ACCESS } from '../../users/user-row.ts';
import type { DeferredWrites } from './deferred-writes.ts';

/**
 * Between the proof of who somebody is and the session that comes of it lies time: as little as a statement takes, or
 * an hour, where a browser takes its way back to the app when it likes. Whoever ends all access of the person
 * meanwhile ends the sessions there are and raises `users.access_version`, so none comes after: what was proved counts
 * only for the version that was read with it.
 */
export interface Proof {
  tenantId: string;
  userId: string;
  accessVersion: number;
}

/**
 * Over the API only who is active gets in. On a page so does somebody whom strangers have locked out by guessing: the
 * password was judged with regard to whether the browser is their own.
 */
type Door = 'page' | 'api';

const MAY_ENTER: Readonly<Record<Door, string>> = { page: KEEPS_ACCESS, api: `u.status = 'active'` };

const PERSON = (door: Door) =>
  `FROM users u WHERE u.tenant_id = ?::uuid AND u.id = ?::uuid AND ${MAY_ENTER[door]}`;

/**
 * Holds the person's row until all is written: whoever ends access waits, and then finds the session. They lock it before
 * any session as well.
 */
export function guardProof(
  deferred: DeferredWrites,
  door: Door,
  { tenantId, userId, accessVersion }: Proof,
): void {
  deferred.guardFirst(`proof ${userId} ${accessVersion}`, {
    name: `proof ${door}`,
    sql: `SELECT 1 ${PERSON(door)} AND u.access_version = ?::integer FOR SHARE OF u`,
    bindings: [tenantId, userId, accessVersion],
  });
}

/** The same, and why not. @param options.isLocked whether the person's row is held until the transaction ends */
export async function judgeProof(
  db: Db,
  door: Door,
  { tenantId, userId, accessVersion }: Proof,
  { isLocked }: { isLocked: boolean },
): Promise<'stands' | 'outdated' | 'closed'> {
  const { rows } = await prepared<{ access_version: number }>(
    db,
    `proof-${door}${isLocked ? '-locked' : ''}`,
    `SELECT u.access_version ${PERSON(door)} ${isLocked ? 'FOR SHARE OF u' : ''}`,
    [tenantId, userId],
  );
  const [row] = rows;
  if (!row) return 'closed';
  return row.access_version === accessVersion ? 'stands' : 'outdated';
}
