import type { Db } from '../../db/database.ts';
import { recordEvent, recordEvents } from '../../events/record-event.ts';
import type { Actor } from '../../http/actor.ts';
import { newId } from '../../lib/ids.ts';
import type { ImportFault, ImportRow } from './import-row.ts';

export type RowOutcome = 'created' | 'updated' | 'skipped' | { fault: ImportFault };

/** Who has which role; of the access feature. */
export interface ImportRoles {
  names(): Promise<readonly string[]>;
  /** @returns how many of them were new */
  assignAll(assignments: readonly { userId: string; role: string }[]): Promise<number>;
}

interface Known {
  id: string;
  asked: string;
}

/**
 * Writes rows in few statements and tells for each what became of it. The database decides who exists already, by its own
 * idea of equal addresses, so two imports and a sign-up at once make nobody twice.
 * @param trx the transaction of the whole batch
 * @param options.update whether to add to users who exist
 */
export async function importBatch(
  trx: Db,
  actor: Actor,
  rows: readonly ImportRow[],
  { update, roles, at }: { update: boolean; roles: ImportRoles; at: Date },
): Promise<RowOutcome[]> {
  const { tenantId } = actor;
  const known = new Set(await roles.names());
  const outcomes: (RowOutcome | undefined)[] = rows.map((row) =>
    row.roles.every((role) => known.has(role))
      ? undefined
      : fault('import.role_unknown', 'roles: no such role.'),
  );
  const numbered = rows
    .map((row, index) => ({ row, index, id: row.id ?? newId(at) }))
    .filter(({ index }) => outcomes[index] === undefined);

  // In one order everywhere, or two imports could wait for each other.
  const created = await insertUsers(trx, tenantId, at, numbered.toSorted(byEmail));
  const fresh = numbered.filter(({ id }) => created.has(id));
  await insertDetails(trx, actor, at, fresh, roles);
  for (const { index } of fresh) outcomes[index] = 'created';

  const others = numbered.filter(({ id }) => !created.has(id));
  const existing = await findByEmail(
    trx,
    tenantId,
    others.map(({ row }) => row.email),
  );
  for (const { row, index } of others) {
    const found = existing.get(row.email);
    outcomes[index] =
      found === undefined
        ? fault('import.id_taken', 'id: another user has it.')
        : row.id !== undefined && row.id !== found
          ? fault('user.email_taken', 'email: the user with this address has another id.')
          : update && (await addTo(trx, actor, found, row, roles, at))
            ? 'updated'
            : 'skipped';
  }
  return outcomes.map((outcome) => outcome ?? 'skipped');
}

interface Numbered {
  row: ImportRow;
  index: number;
  id: string;
}

function byEmail(a: Numbered, b: Numbered): number {
  const [one, other] = [a.row.email.toLowerCase(), b.row.email.toLowerCase()];
  return one < other ? -1 : one > other ? 1 : a.index - b.index;
}

async function insertUsers(
  trx: Db,
  tenantId: string,
  at: Date,
  rows: readonly Numbered[],
): Promise<Set<string>> {
  const { rows: inserted } = await trx.raw<{ rows: { id: string }[] }>(
    `INSERT INTO users (id, tenant_id, status, email, email_verified_at, created_at, updated_at)
     SELECT r.id, ?::uuid, r.status, r.email, r.email_verified_at, r.created_at, ?::timestamptz
       FROM jsonb_to_recordset(?::jsonb)
         AS r(id uuid, status text, email text, email_verified_at timestamptz, created_at timestamptz)
     ON CONFLICT DO NOTHING RETURNING id`,
    [
      tenantId,
      at,
      JSON.stringify(
        rows.map(({ id, row }) => ({
          id,
          status: row.status,
          email: row.email,
          email_verified_at: row.emailVerified ? at : null,
          created_at: row.createdAt ?? at,
        })),
      ),
    ],
  );
  return new Set(inserted.map(({ id }) => id));
}

async function insertDetails(
  trx: Db,
  actor: Actor,
  at: Date,
  rows: readonly Numbered[],
  roles: ImportRoles,
): Promise<void> {
  if (rows.length === 0) return;
  const { tenantId } = actor;
  const common = { tenant_id: tenantId, created_at: at, updated_at: at };
  await trx('user_profiles').insert(
    rows.map(({ id, row }) => ({ user_id: id, claims: JSON.stringify(row.claims), ...common })),
  );
  const credentials = rows.flatMap(({ id, row }) =>
    row.password
      ? [
          {
            user_id: id,
            hash: row.password.hash,
            pepper_id: row.password.pepperId,
            is_temporary: row.isTemporaryPassword,
            ...common,
          },
        ]
      : [],
  );
  if (credentials.length > 0) await trx('password_credentials').insert(credentials);
  const assignments = rows.flatMap(({ id, row }) => row.roles.map((role) => ({ userId: id, role })));
  await roles.assignAll(assignments);
  await recordEvents(
    trx,
    actor,
    'user.created',
    rows.map(({ id, row }) => ({
      target: { type: 'user', id },
      reason: 'import',
      data: {
        after: {
          status: row.status,
          emailVerified: row.emailVerified === true,
          hasPassword: row.password !== undefined,
          claims: Object.keys(row.claims),
        },
      },
    })),
  );
  await recordEvents(
    trx,
    actor,
    'role.assigned',
    assignments.map(({ userId, role }) => ({ target: { type: 'user', id: userId }, data: { role } })),
  );
}

async function findByEmail(
  trx: Db,
  tenantId: string,
  emails: readonly string[],
): Promise<Map<string, string>> {
  if (emails.length === 0) return new Map();
  const { rows } = await trx.raw<{ rows: Known[] }>(
    `SELECT u.id, x.email AS asked FROM unnest(?::text[]) AS x(email)
       JOIN users u ON u.tenant_id = ?::uuid AND lower(u.email) = lower(x.email) AND u.deleted_at IS NULL`,
    [emails as string[], tenantId],
  );
  return new Map(rows.map(({ id, asked }) => [asked, id]));
}

/** Profile and roles are added to, a password is given where there is none; the state is nothing an import changes. */
async function addTo(
  trx: Db,
  actor: Actor,
  id: string,
  { claims, emailVerified, password, isTemporaryPassword, roles: names }: ImportRow,
  roles: ImportRoles,
  at: Date,
): Promise<boolean> {
  const { tenantId } = actor;
  const changed: string[] = [];
  const did = (what: string, count: number | null | undefined) => {
    if ((count ?? 0) > 0) changed.push(what);
  };

  const added = JSON.stringify(claims);
  const profile = await trx.raw(
    `UPDATE user_profiles SET claims = claims || ?::jsonb, updated_at = ?
      WHERE tenant_id = ? AND user_id = ? AND claims IS DISTINCT FROM claims || ?::jsonb`,
    [added, at, tenantId, id, added],
  );
  did('profile', profile.rowCount);
  if (emailVerified) {
    const count = await trx('users')
      .where({ tenant_id: tenantId, id })
      .whereNull('email_verified_at')
      .update({ email_verified_at: at, updated_at: at });
    did('emailVerified', count);
  }
  if (password) {
    const { rowCount } = await trx.raw(
      `INSERT INTO password_credentials (user_id, tenant_id, hash, pepper_id, is_temporary, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      [id, tenantId, password.hash, password.pepperId, isTemporaryPassword, at, at],
    );
    did('password', rowCount);
  }
  did('roles', await roles.assignAll(names.map((role) => ({ userId: id, role }))));
  if (changed.length === 0) return false;
  await recordEvent(trx, actor, 'user.updated', {
    target: { type: 'user', id },
    reason: 'import',
    data: { changed },
  });
  return true;
}

function fault(code: string, message: string): { fault: ImportFault } {
  return { fault: { code, message } };
}
