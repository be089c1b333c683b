import type { Db } from '../../db/database.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import type { UserStatus } from '../user.ts';
import { profileClaimsSchema } from '../user-claims.ts';
import type { ProfileClaims } from '../user-claims.ts';
import type { ImportFormat } from './read-records.ts';
import { toCell } from './spreadsheet-cells.ts';

/** The text of an export: users in the form that the import takes, in the order of their ids. */

const PAGE = 1000;
/** The first id there can be. */
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';

export interface ExportForm {
  format: ImportFormat;
  /** Peppered as they are; see `PasswordHasher.release`. */
  withPasswordHashes: boolean;
}

export interface ExportPage {
  text: string;
  users: number;
}

export type ExportRoles = (
  db: Db,
  tenantId: string,
) => { rolesOfAll(userIds: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> };

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

/** The header of CSV, and what a record of either format can hold. The id is the first. */
export function exportColumns({ withPasswordHashes }: Pick<ExportForm, 'withPasswordHashes'>): string[] {
  return withPasswordHashes ? [...COLUMNS, 'password_hash', 'password_temporary'] : COLUMNS;
}

/** @returns a function that gives out the users of a tenant who are not deleted, so that any number needs little memory */
export function createExportPages({
  hasher,
  rolesOn,
}: {
  hasher: Pick<PasswordHasher, 'release'>;
  rolesOn: ExportRoles;
}) {
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

  /** @param lastId of the last user who has been given out; undefined at the beginning of the text */
  return async function* exportPages(
    db: Db,
    tenantId: string,
    { format, withPasswordHashes }: ExportForm,
    lastId: string | undefined,
  ): AsyncGenerator<ExportPage> {
    const columns = exportColumns({ withPasswordHashes });
    if (format === 'csv' && lastId === undefined) yield { text: `${columns.join(',')}\r\n`, users: 0 };
    for (let after = lastId ?? BEFORE_ALL; ; ) {
      const rows = await rowsAfter(db, tenantId, after, withPasswordHashes);
      if (rows.length === 0) return;
      const roles = await rolesOn(db, tenantId).rolesOfAll(rows.map(({ id }) => id));
      const values = rows.map((row) => valuesOf(row, roles.get(row.id) ?? []));
      const lines = values.map((one) =>
        format === 'csv' ? csvLine(one, columns) : `${JSON.stringify(one)}\n`,
      );
      yield { text: lines.join(''), users: rows.length };
      after = rows.at(-1)?.id ?? after;
    }
  };
}

async function rowsAfter(db: Db, tenantId: string, id: string, withHashes: boolean): Promise<ExportRow[]> {
  const { rows } = await db.raw<{ rows: ExportRow[] }>(
    `SELECT u.id, u.email, u.email_verified_at, u.status, u.lock_cause, u.created_at, p.claims,
            ${withHashes ? 'c.hash, c.pepper_id, c.is_temporary' : 'NULL AS hash, NULL AS pepper_id, NULL AS is_temporary'}
       FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id
       ${withHashes ? 'LEFT JOIN password_credentials c ON c.user_id = u.id' : ''}
      WHERE u.tenant_id = ? AND u.id > ? AND u.deleted_at IS NULL ORDER BY u.id LIMIT ${PAGE}`,
    [tenantId, id],
  );
  return rows;
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
