import type { Db } from '../../db/database.ts';
import { recordEvent } from '../../events/record-event.ts';
import type { Actor } from '../../http/actor.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import type { UserStatus } from '../user.ts';
import { profileClaimsSchema } from '../user-claims.ts';
import type { ProfileClaims } from '../user-claims.ts';
import type { ImportFormat } from './read-records.ts';
import { toCell } from './spreadsheet-cells.ts';

/** Gives users out in the form that the import takes, page by page, so that any number of them needs little memory. */

const PAGE = 1000;
/** The first id there can be. */
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';

export interface ExportRequest {
  format: ImportFormat;
  /** Peppered as they are; see `PasswordHasher.release`. */
  withPasswordHashes?: boolean | undefined;
  onProgress?: ((users: number) => void) | undefined;
}

interface ExportRow {
  id: string;
  email: string;
  email_verified_at: Date | null;
  status: UserStatus;
  lock_cause: string | null;
  created_at: Date;
  claims: ProfileClaims | null;
  hash: string | null;
  pepper_id: string | null;
  is_temporary: boolean | null;
}

type Values = Record<string, unknown>;

const ADDRESS = Object.keys(profileClaimsSchema.shape.address.unwrap().shape);
const CLAIMS = Object.keys(profileClaimsSchema.shape).filter((name) => name !== 'address');
const COLUMNS = [
  'id',
  'email',
  'email_verified',
  'status',
  'created_at',
  'roles',
  ...CLAIMS,
  ...ADDRESS.map((name) => `address.${name}`),
];

export function createUserExport({
  db,
  hasher,
  rolesOn,
}: {
  db: Db;
  hasher: Pick<PasswordHasher, 'release'>;
  rolesOn: (
    db: Db,
    tenantId: string,
  ) => { rolesOfAll(userIds: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> };
}) {
  async function page(tenantId: string, after: string, withHashes: boolean): Promise<ExportRow[]> {
    const { rows } = await db.raw<{ rows: ExportRow[] }>(
      `SELECT u.id, u.email, u.email_verified_at, u.status, u.lock_cause, u.created_at, p.claims,
              ${withHashes ? 'c.hash, c.pepper_id, c.is_temporary' : 'NULL AS hash, NULL AS pepper_id, NULL AS is_temporary'}
         FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id
         ${withHashes ? 'LEFT JOIN password_credentials c ON c.user_id = u.id' : ''}
        WHERE u.tenant_id = ? AND u.id > ? AND u.deleted_at IS NULL ORDER BY u.id LIMIT ${PAGE}`,
      [tenantId, after],
    );
    return rows;
  }

  function valuesOf(row: ExportRow, roles: readonly string[]): Values {
    const { hash, pepper_id: pepperId } = row;
    return {
      id: row.id,
      email: row.email,
      email_verified: row.email_verified_at !== null,
      status: statusOf(row),
      created_at: row.created_at.toISOString(),
      ...(roles.length > 0 ? { roles } : {}),
      ...row.claims,
      ...(hash === null || pepperId === null ? {} : { password_hash: hasher.release({ hash, pepperId }) }),
      ...(row.is_temporary === true ? { password_temporary: true } : {}),
    };
  }

  return {
    /** How many there are to export: what comes of it can be held against that. */
    async count({ tenantId }: Pick<Actor, 'tenantId'>): Promise<number> {
      const row = await db('users')
        .where({ tenant_id: tenantId })
        .whereNull('deleted_at')
        .count<{ count: string }[]>('* AS count')
        .first();
      return Number(row?.count ?? 0);
    },

    /**
     * All users who are not deleted, in the order of their ids. The record of the export is written first: whoever reads
     * half of it has read it.
     * @returns the text of the file in pieces
     */
    async *run(
      actor: Actor,
      { format, withPasswordHashes = false, onProgress }: ExportRequest,
    ): AsyncGenerator<string> {
      const { tenantId } = actor;
      await db.transaction((trx) =>
        recordEvent(trx, actor, 'users.exported', {
          data: { format, with_password_hashes: withPasswordHashes },
        }),
      );
      const columns = withPasswordHashes ? [...COLUMNS, 'password_hash', 'password_temporary'] : COLUMNS;
      if (format === 'csv') yield `${columns.join(',')}\r\n`;
      let after = BEFORE_ALL;
      for (let count = 0; ; ) {
        const rows = await page(tenantId, after, withPasswordHashes);
        if (rows.length === 0) return;
        const roles = await rolesOn(db, tenantId).rolesOfAll(rows.map(({ id }) => id));
        const values = rows.map((row) => valuesOf(row, roles.get(row.id) ?? []));
        yield values
          .map((one) => (format === 'csv' ? csvLine(one, columns) : `${JSON.stringify(one)}\n`))
          .join('');
        count += rows.length;
        onProgress?.(count);
        after = rows.at(-1)?.id ?? after;
      }
    },
  };
}

/** A lock is of here and now: what strangers' guesses closed goes out as open, what an administrator closed as closed. */
function statusOf({ status, lock_cause }: ExportRow): UserStatus {
  if (status !== 'locked') return status;
  return lock_cause === 'guessing' ? 'active' : 'disabled';
}

function csvLine(values: Values, columns: readonly string[]): string {
  const address = (values['address'] ?? {}) as Values;
  const cells = columns.map((name) => {
    const value = name.startsWith('address.') ? address[name.slice('address.'.length)] : values[name];
    return toCell(cellText(value));
  });
  return `${cells.join(',')}\r\n`;
}

function cellText(value: unknown): string {
  if (Array.isArray(value)) return value.join(' ');
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : '';
}
