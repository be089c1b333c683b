import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { isId } from '../lib/ids.ts';
import type { LockCause, User, UserStatus } from './user.ts';
import type { ProfileClaims, UserProfile } from './user-claims.ts';
import { USER_COLUMNS, toUser } from './user-row.ts';
import type { UserRow } from './user-row.ts';

export interface Lock {
  cause: LockCause;
  /** Undefined: until somebody unlocks the account. */
  until?: Date | undefined;
}

export interface ProfileColumns {
  claims: ProfileClaims | null;
  profile_updated_at: Date | null;
}

/**
 * The queries of `users` and `user_profiles`, bound to a tenant. Deleted users are found by none of them. An id that is
 * no UUID is the id of nobody.
 */
export function userStore(db: Db, tenantId: string) {
  /** The user and what `claimsOf` needs, in one query. */
  async function findWithProfile(id: string): Promise<{ user: User; profile: UserProfile } | undefined> {
    if (!isId(id)) return undefined;
    const { rows } = await prepared<UserRow & ProfileColumns>(
      db,
      'user-find-with-profile',
      `SELECT ${USER_COLUMNS}, p.claims, p.updated_at AS profile_updated_at
       FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id
       WHERE u.tenant_id = ? AND u.id = ? AND u.deleted_at IS NULL`,
      [tenantId, id],
    );
    const [row] = rows;
    return row && { user: toUser(row), profile: toProfile(row) };
  }

  return {
    async find(id: string): Promise<User | undefined> {
      if (!isId(id)) return undefined;
      const { rows } = await prepared<UserRow>(
        db,
        'user-find',
        `SELECT ${USER_COLUMNS} FROM users u WHERE u.tenant_id = ? AND u.id = ? AND u.deleted_at IS NULL`,
        [tenantId, id],
      );
      return rows[0] && toUser(rows[0]);
    },

    /** Keeps the user as it is until the transaction ends. */
    async findForUpdate(id: string): Promise<User | undefined> {
      if (!isId(id)) return undefined;
      // Not `FOR UPDATE`: that would make every insert that refers to the user wait.
      const { rows } = await prepared<UserRow>(
        db,
        'user-find-for-update',
        `SELECT ${USER_COLUMNS} FROM users u WHERE u.tenant_id = ? AND u.id = ? AND u.deleted_at IS NULL
         FOR NO KEY UPDATE`,
        [tenantId, id],
      );
      return rows[0] && toUser(rows[0]);
    },

    /** @param email as `parseEmail` returns it; PostgreSQL lowers both sides, so that they agree on what lower case is */
    async findByEmail(email: string): Promise<User | undefined> {
      const { rows } = await prepared<UserRow>(
        db,
        'user-find-by-email',
        `SELECT ${USER_COLUMNS} FROM users u
         WHERE u.tenant_id = ? AND lower(u.email) = lower(?) AND u.deleted_at IS NULL`,
        [tenantId, email],
      );
      return rows[0] && toUser(rows[0]);
    },

    findWithProfile,

    async profile(id: string): Promise<UserProfile | undefined> {
      return (await findWithProfile(id))?.profile;
    },

    /** Whether the person was asked for what the profile lacks within the last days. */
    async wasAskedForProfile(id: string, days: number): Promise<boolean> {
      const { rowCount } = await prepared(
        db,
        'user-asked-for-profile',
        `SELECT 1 FROM user_profiles
          WHERE tenant_id = ? AND user_id = ?::uuid AND asked_at > now() - make_interval(days => ?::int)`,
        [tenantId, id, days],
      );
      return rowCount === 1;
    },

    async noteAskedForProfile(id: string): Promise<void> {
      await db('user_profiles').where({ tenant_id: tenantId, user_id: id }).update({ asked_at: db.fn.now() });
    },

    /**
     * In the order they were made.
     * @param page.after the id of the last one already seen
     * @param filter.emailPrefix however it is spelt
     */
    async list(
      { after, limit }: { after?: string | undefined; limit: number },
      { email, emailPrefix, status }: UserFilter = {},
    ): Promise<User[]> {
      const query = db<UserRow>('users')
        .where({ tenant_id: tenantId, ...(status === undefined ? {} : { status }) })
        .whereNull('deleted_at')
        .orderBy('id')
        .limit(limit);
      if (after !== undefined) query.where('id', '>', after);
      if (email !== undefined) query.whereRaw('lower(email) = lower(?)', [email]);
      if (emailPrefix !== undefined)
        query.whereRaw("lower(email) LIKE lower(?) ESCAPE '!'", [likePrefix(emailPrefix)]);
      return (await query).map(toUser);
    },

    /** @throws a unique violation of `users_tenant_id_email_key` when the address is taken */
    async insert(user: User, claims: ProfileClaims): Promise<void> {
      await db('users').insert({
        id: user.id,
        tenant_id: tenantId,
        status: user.status,
        email: user.email,
        email_verified_at: user.emailVerifiedAt,
        created_at: user.createdAt,
        updated_at: user.updatedAt,
      });
      await db('user_profiles').insert({
        user_id: user.id,
        tenant_id: tenantId,
        claims: JSON.stringify(claims),
        created_at: user.createdAt,
        updated_at: user.updatedAt,
      });
    },

    /** @throws a unique violation of `users_tenant_id_email_key` when the address is taken */
    async setEmail(id: string, email: string, verifiedAt: Date): Promise<void> {
      await db('users')
        .where({ tenant_id: tenantId, id })
        .update({ email, email_verified_at: verifiedAt, updated_at: verifiedAt });
    },

    /** @throws a unique violation of `users_tenant_id_email_key` when the address is taken */
    async update(id: string, { email, emailVerifiedAt, claims }: UserUpdate, at: Date): Promise<void> {
      await db('users')
        .where({ tenant_id: tenantId, id })
        .update({
          updated_at: at,
          ...(email === undefined ? {} : { email }),
          ...(emailVerifiedAt === undefined ? {} : { email_verified_at: emailVerifiedAt }),
        });
      if (claims === undefined) return;
      await db('user_profiles')
        .insert({ user_id: id, tenant_id: tenantId, claims: JSON.stringify(claims), updated_at: at })
        .onConflict('user_id')
        .merge(['claims', 'updated_at']);
    },

    async setStatus(id: string, status: UserStatus, at: Date, lock?: Lock): Promise<void> {
      await db('users')
        .where({ tenant_id: tenantId, id })
        .update({
          status,
          updated_at: at,
          deleted_at: status === 'deleted' ? at : null,
          lock_cause: lock?.cause ?? null,
          locked_until: lock?.until ?? null,
        });
    },

    /**
     * Who has proved to be the person and is not signed in yet has to prove it again. It holds the row, so that a
     * sign-in under way comes either before, with its session, or not at all.
     */
    async outdateProofs(id: string): Promise<void> {
      await db('users').where({ tenant_id: tenantId, id }).increment('access_version');
    },

    /** One who was deleted and not yet erased; kept as they are until the transaction ends. */
    async findDeletedForUpdate(id: string): Promise<User | undefined> {
      if (!isId(id)) return undefined;
      const { rows } = await prepared<UserRow>(
        db,
        'user-find-deleted-for-update',
        `SELECT ${USER_COLUMNS} FROM users u WHERE u.tenant_id = ? AND u.id = ? AND u.deleted_at IS NOT NULL
         FOR UPDATE`,
        [tenantId, id],
      );
      return rows[0] && toUser(rows[0]);
    },

    /**
     * The row of a deleted user and everything that refers to it: profile, credentials, consents, roles. What remains are
     * the rows of `events`, which hold the id and nothing else about the person.
     */
    async erase(id: string): Promise<void> {
      await db('users').where({ tenant_id: tenantId, id }).whereNotNull('deleted_at').delete();
    },
  };
}

export interface UserFilter {
  email?: string | undefined;
  emailPrefix?: string | undefined;
  status?: UserStatus | undefined;
}

/** What is left out stays. */
export interface UserUpdate {
  email?: string | undefined;
  emailVerifiedAt?: Date | null | undefined;
  claims?: ProfileClaims | undefined;
}

function likePrefix(text: string): string {
  return `${text.replaceAll(/[!%_]/g, (sign) => `!${sign}`)}%`;
}

export function toProfile(row: ProfileColumns): UserProfile {
  return { claims: row.claims ?? {}, updatedAt: row.profile_updated_at };
}
