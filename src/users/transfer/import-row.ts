import { z } from 'zod';
import { AppError } from '../../lib/errors.ts';
import { isId } from '../../lib/ids.ts';
import { parseEmail } from '../email-address.ts';
import type { PasswordHasher, StoredPassword } from '../password-hasher.ts';
import { profileClaimsSchema } from '../user-claims.ts';
import type { ProfileClaims } from '../user-claims.ts';

/** One record of an import: which fields it can have, and what is wrong with it. */

/** Nothing in it repeats the record, which is about a person. */
export interface ImportFault {
  code: string;
  message: string;
}

export interface ImportRow {
  /** To keep the `sub` that apps know; absent: a new one. */
  id: string | undefined;
  email: string;
  emailVerified: boolean | undefined;
  status: 'active' | 'pending' | 'disabled';
  claims: ProfileClaims;
  password: StoredPassword | undefined;
  /** Somebody else chose the password: it lasts until the person chooses one. */
  isTemporaryPassword: boolean;
  roles: readonly string[];
  createdAt: Date | undefined;
}

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);
const text = z.string().max(2048);

const recordSchema = z.looseObject({
  id: z.string().refine(isId, 'must be a UUID in lower case').optional(),
  email: z.string().max(1024),
  email_verified: flag.optional(),
  password_hash: text.optional(),
  password_temporary: flag.default(false),
  status: z.enum(['active', 'pending', 'disabled']).default('active'),
  roles: z.array(z.string().min(1).max(200)).max(50).default([]),
  created_at: z.iso.datetime({ offset: true }).optional(),
  claims: z.record(z.string(), z.unknown()).default({}),
});

/** @param value of a JSON line, or the cells of a CSV line by the names of their columns */
export function parseImportRow(
  value: unknown,
  hasher: Pick<PasswordHasher, 'adopt'>,
): { row: ImportRow } | { fault: ImportFault } {
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) {
    return fault('import.row_invalid', 'record: has a field that no user has.');
  }
  const parsed = recordSchema.safeParse(value);
  if (!parsed.success) return invalid('import.row_invalid', parsed.error);
  const { id, email, email_verified, password_hash, password_temporary, status, roles, created_at, ...rest } =
    parsed.data;
  const { claims, ...more } = rest;

  if ('password' in more) {
    return fault('import.plain_password', 'A plain password cannot be imported; give a password_hash.');
  }
  const address = parseEmail(email);
  if (address === undefined) return fault('user.email_invalid', 'email: must be one e-mail address.');
  const profile = profileClaimsSchema.safeParse({ ...more, ...claims });
  if (!profile.success) return invalid('user.claims_invalid', profile.error);

  try {
    return {
      row: {
        id,
        email: address,
        emailVerified: email_verified,
        status,
        claims: profile.data,
        password: password_hash === undefined ? undefined : hasher.adopt(password_hash),
        isTemporaryPassword: password_temporary,
        roles: [...new Set(roles)],
        createdAt: created_at === undefined ? undefined : new Date(created_at),
      },
    };
  } catch (err) {
    if (err instanceof AppError) return fault(err.code, `password_hash: ${err.message}`);
    throw err;
  }
}

/** Cells of a line: an empty one is absent, roles are separated by blanks, `address.country` is a member of `address`. */
export function fromCells(cells: Readonly<Record<string, string>>): unknown {
  const value: Record<string, unknown> = {};
  const address: Record<string, unknown> = {};
  for (const [name, cell] of Object.entries(cells)) {
    if (cell === '') continue;
    if (name === 'roles') value[name] = cell.split(/\s+/).filter(Boolean);
    else if (name.startsWith('address.')) address[name.slice('address.'.length)] = cell;
    else value[name] = cell;
  }
  return Object.keys(address).length > 0 ? { ...value, address } : value;
}

function fault(code: string, message: string): { fault: ImportFault } {
  return { fault: { code, message } };
}

function invalid(code: string, { issues }: z.ZodError): { fault: ImportFault } {
  const sentences = issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.join('.') || 'record'}: ${message}`);
  return fault(code, sentences.join('; ').slice(0, 500));
}
