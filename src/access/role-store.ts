import type { Db } from '../db/database.ts';
import { isId, newId } from '../lib/ids.ts';

/**
 * Roles by name and who has them, bound to a tenant. What a role allows is decided elsewhere.
 */

export function roleStore(db: Db, tenantId: string) {
  return {
    /** Makes the role unless it exists. @returns its id */
    async ensureRole(name: string): Promise<string> {
      await db('roles')
        .insert({ id: newId(), tenant_id: tenantId, name })
        .onConflict(['tenant_id', 'name'])
        .ignore();
      const { id } = await db('roles').where({ tenant_id: tenantId, name }).first('id');
      return id;
    },

    /**
     * Gives a user an existing role.
     * @returns false when the user has it already, or when user or role do not exist in this tenant
     */
    async assign(userId: string, name: string): Promise<boolean> {
      if (!isId(userId)) return false;
      const { rowCount } = await db.raw(
        `INSERT INTO role_assignments (role_id, user_id, tenant_id)
         SELECT r.id, u.id, r.tenant_id FROM roles r JOIN users u ON u.tenant_id = r.tenant_id
         WHERE r.tenant_id = ? AND r.name = ? AND u.id = ? AND u.deleted_at IS NULL
         ON CONFLICT DO NOTHING`,
        [tenantId, name, userId],
      );
      return rowCount === 1;
    },

    async names(): Promise<string[]> {
      return (await db('roles').where({ tenant_id: tenantId }).select('name')).map(({ name }) => name);
    },

    /** Gives users existing roles. @returns how many assignments were new */
    async assignAll(assignments: readonly { userId: string; role: string }[]): Promise<number> {
      if (assignments.length === 0) return 0;
      const { rowCount } = await db.raw(
        `INSERT INTO role_assignments (role_id, user_id, tenant_id)
         SELECT r.id, u.id, r.tenant_id FROM jsonb_to_recordset(?::jsonb) AS a("userId" uuid, role text)
         JOIN roles r ON r.tenant_id = ? AND r.name = a.role
         JOIN users u ON u.tenant_id = r.tenant_id AND u.id = a."userId" AND u.deleted_at IS NULL
         ON CONFLICT DO NOTHING`,
        [JSON.stringify(assignments), tenantId],
      );
      return rowCount ?? 0;
    },

    /** Names by user, sorted; who has none is not in it. */
    async rolesOfAll(userIds: readonly string[]): Promise<Map<string, string[]>> {
      const rows = await db('role_assignments as a')
        .join('roles as r', 'r.id', 'a.role_id')
        .where('a.tenant_id', tenantId)
        .whereIn('a.user_id', userIds)
        .orderBy('r.name')
        .select('a.user_id', 'r.name');
      const byUser = Map.groupBy(rows, ({ user_id }) => user_id);
      return new Map([...byUser].map(([id, own]) => [id, own.map(({ name }) => name)]));
    },

    /** Names, sorted. A deleted user has none. */
    async rolesOf(userId: string): Promise<string[]> {
      if (!isId(userId)) return [];
      const { rows } = await db.raw<{ rows: { name: string }[] }>(
        `SELECT r.name FROM role_assignments a
         JOIN roles r ON r.id = a.role_id
         JOIN users u ON u.id = a.user_id
         WHERE a.tenant_id = ? AND a.user_id = ? AND u.deleted_at IS NULL ORDER BY r.name`,
        [tenantId, userId],
      );
      return rows.map((row) => row.name);
    },

    /** Whether any user who is not deleted has the role. */
    async isAssigned(name: string): Promise<boolean> {
      const { rows } = await db.raw<{ rows: unknown[] }>(
        `SELECT 1 FROM role_assignments a
         JOIN roles r ON r.id = a.role_id
         JOIN users u ON u.id = a.user_id
         WHERE r.tenant_id = ? AND r.name = ? AND u.deleted_at IS NULL LIMIT 1`,
        [tenantId, name],
      );
      return rows.length > 0;
    },
  };
}
