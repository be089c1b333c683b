import type { Db } from '../db/database.ts';
import { roleStore } from './role-store.ts';

/** The role whose members may do everything in the tenant. */
export const ADMINISTRATOR = 'administrator';

/** Who administers a tenant. */
export function administrators(db: Db, tenantId: string) {
  const roles = roleStore(db, tenantId);

  return {
    /** Whether there is any who was not deleted. */
    exist: (): Promise<boolean> => roles.isAssigned(ADMINISTRATOR),

    /** @throws {Error} when there is no such user in the tenant */
    async add(userId: string): Promise<void> {
      await roles.ensureRole(ADMINISTRATOR);
      await roles.assign(userId, ADMINISTRATOR);
      const names = await roles.rolesOf(userId);
      if (!names.includes(ADMINISTRATOR))
        throw new Error(`there is no user ${userId} to make an administrator`);
    },
  };
}
