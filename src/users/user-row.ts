import type { LockCause, User, UserStatus } from './user.ts';

/** Of the table `users u`. */
export const USER_COLUMNS =
  'u.id, u.tenant_id, u.status, u.lock_cause, u.locked_until, u.email, u.email_verified_at, u.access_version, u.created_at, u.updated_at';

/** `keepsAccess` of the table `users u`. */
export const KEEPS_ACCESS = `(u.status = 'active' OR (u.status = 'locked' AND u.lock_cause = 'guessing'))`;

export interface UserRow {
  id: string;
  tenant_id: string;
  status: UserStatus;
  lock_cause: LockCause | null;
  locked_until: Date | null;
  email: string;
  email_verified_at: Date | null;
  access_version: number;
  created_at: Date;
  updated_at: Date;
}

export function toUser(row: UserRow): User {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    status: row.status,
    lockCause: row.lock_cause,
    lockedUntil: row.locked_until,
    email: row.email,
    emailVerifiedAt: row.email_verified_at,
    accessVersion: row.access_version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
