import type { Db } from '../db/database.ts';
import type { Actor } from '../http/actor.ts';
import { permissionsOf } from './can.ts';
import type { Permission } from './permissions.ts';
import { roleStore } from './role-store.ts';

/** What people may do, by the roles they have. */
export type AccessService = ReturnType<typeof createAccessService>;

export function createAccessService({ db }: { db: Db }) {
  return {
    /** Names, sorted; of nobody, none. */
    rolesOf: ({ tenantId }: Pick<Actor, 'tenantId'>, userId: string): Promise<string[]> =>
      roleStore(db, tenantId).rolesOf(userId),

    async accessOf(
      { tenantId }: Pick<Actor, 'tenantId'>,
      userId: string,
    ): Promise<{ roles: string[]; permissions: Permission[] }> {
      const roles = await roleStore(db, tenantId).rolesOf(userId);
      return { roles, permissions: permissionsOf(roles) };
    },
  };
}
