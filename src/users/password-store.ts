import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { sha256 } from '../lib/ids.ts';
import type { StoredPassword } from './password-hasher.ts';
import type { User } from './user.ts';
import { USER_COLUMNS, toUser } from './user-row.ts';
import type { UserRow } from './user-row.ts';

/** What a sign-in decides on: the user and the password as they were at one moment. */
export interface SignInRecord {
  user: User;
  password: StoredPassword | undefined;
  /** Somebody else chose the password: it lasts until the person chooses one. */
  isTemporary: boolean;
}

interface PasswordColumns {
  hash: string | null;
  pepper_id: string | null;
  is_temporary: boolean | null;
}

/** The queries of `password_credentials`, bound to a tenant. */
export function passwordStore(db: Db, tenantId: string) {
  return {
    /** @param email as `parseEmail` returns it */
    async findSignIn(email: string): Promise<SignInRecord | undefined> {
      const { rows } = await prepared<UserRow & PasswordColumns>(
        db,
        'password-find-sign-in',
        `SELECT ${USER_COLUMNS}, p.hash, p.pepper_id, p.is_temporary
         FROM users u LEFT JOIN password_credentials p ON p.user_id = u.id
         WHERE u.tenant_id = ? AND lower(u.email) = lower(?) AND u.deleted_at IS NULL`,
        [tenantId, email],
      );
      return rows[0] && toSignInRecord(rows[0]);
    },

    async set(
      userId: string,
      { hash, pepperId }: StoredPassword,
      at: Date,
      { isTemporary = false }: { isTemporary?: boolean | undefined } = {},
    ): Promise<void> {
      await db('password_credentials')
        .insert({
          user_id: userId,
          tenant_id: tenantId,
          hash,
          pepper_id: pepperId,
          is_temporary: isTemporary,
          created_at: at,
          updated_at: at,
        })
        .onConflict('user_id')
        .merge(['hash', 'pepper_id', 'is_temporary', 'updated_at']);
    },

    /** @returns false when the password is no longer the old one, and then changes nothing */
    async replace(userId: string, old: StoredPassword, fresh: StoredPassword, at: Date): Promise<boolean> {
      const count = await db('password_credentials')
        .where({ tenant_id: tenantId, user_id: userId, hash: old.hash })
        .update({ hash: fresh.hash, pepper_id: fresh.pepperId, updated_at: at });
      return count === 1;
    },

    async findTemporary(userId: string, { isLocked = false } = {}): Promise<StoredPassword | undefined> {
      const row = await db('password_credentials')
        .where({ tenant_id: tenantId, user_id: userId, is_temporary: true })
        .modify((query) => {
          if (isLocked) query.forUpdate();
        })
        .first('hash', 'pepper_id');
      return row && { hash: row.hash, pepperId: row.pepper_id };
    },

    async exists(userId: string): Promise<boolean> {
      const row = await db('password_credentials')
        .where({ tenant_id: tenantId, user_id: userId })
        .first('user_id');
      return row !== undefined;
    },
  };
}

function toSignInRecord(row: UserRow & PasswordColumns): SignInRecord {
  const { hash, pepper_id: pepperId, is_temporary: isTemporary } = row;
  return {
    user: toUser(row),
    password: hash === null || pepperId === null ? undefined : { hash, pepperId },
    isTemporary: isTemporary === true,
  };
}

/** Names a stored password without telling it: whoever knew this one does not know the next. */
export function proofOf({ hash, pepperId }: StoredPassword): string {
  return sha256(`${pepperId} ${hash}`).toString('base64url');
}
