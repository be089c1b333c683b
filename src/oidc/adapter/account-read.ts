import type { User } from '../../users/user.ts';
import { toUser, USER_COLUMNS } from '../../users/user-row.ts';
import type { UserRow } from '../../users/user-row.ts';
import { toProfile } from '../../users/user-store.ts';
import type { ProfileColumns } from '../../users/user-store.ts';
import type { UserProfile } from '../../users/user-claims.ts';

/** The person behind a token or session, read in the same statement: what the engine asks for next. */
export interface StoredAccount {
  user: User;
  profile: UserProfile;
  /** Names; undefined where they were not read along. */
  roles: readonly string[] | undefined;
}

const USER_NAMES = USER_COLUMNS.split(', ').map((column) => column.slice('u.'.length));

/** Under names of their own, since the statement has other columns of these names. */
export const ACCOUNT_COLUMNS = `${USER_NAMES.map((name) => `u.${name} AS account_${name}`).join(', ')},
  p.claims AS account_claims, p.updated_at AS account_profile_updated_at`;

/** The columns' own names, each after the one in the statement. */
const NAMES = [...USER_NAMES, 'claims', 'profile_updated_at'].map(
  (name) => [`account_${name}`, name] as const,
);

export const ACCOUNT_JOIN = (source: string) =>
  `LEFT JOIN users u ON u.tenant_id = ${source}.tenant_id AND u.id = ${source}.account_id AND u.deleted_at IS NULL
   LEFT JOIN user_profiles p ON p.user_id = u.id`;

/** What tokens say besides. */
export const ACCOUNT_ROLES = `ARRAY (SELECT r.name FROM role_assignments a JOIN roles r ON r.id = a.role_id
  WHERE a.user_id = u.id ORDER BY r.name) AS account_roles`;

type Prefixed<Row> = { [Column in keyof Row as `account_${string & Column}`]: Row[Column] };

export type AccountColumns = { account_id: string | null } & Partial<
  Prefixed<UserRow & ProfileColumns & { roles: string[] }>
>;

/** Undefined when there is no such person any more. */
export function toAccount(row: AccountColumns): StoredAccount | undefined {
  if (!row.account_id) return undefined;
  const columns: Record<string, unknown> = {};
  const read: Record<string, unknown> = row;
  for (const [stated, name] of NAMES) columns[name] = read[stated];
  return {
    user: toUser(columns as unknown as UserRow),
    profile: toProfile(columns as unknown as ProfileColumns),
    roles: row.account_roles,
  };
}
