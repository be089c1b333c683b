import type { User, UserStatus } from './user.ts';

/** Of the table `users u`. */
export const USER_COLUMNS =
  'u.id, u.tenant_id, u.status, u.email, u.email_verified_at, u.created_at, u.updated_at';

export interface UserRow {
  id: string;
  tenant_id: string;
  status: UserStatus;
  email: string;
  email_verified_at: Date | null;
  created_at: Date;
  updated_at: Date;
}

export function toUser(row: UserRow): User {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    status: row.status,
    email: row.email,
    emailVerifiedAt: row.email_verified_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
