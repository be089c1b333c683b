import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { isId } from '../lib/ids.ts';
import type { Preferences } from './preferences.ts';

/** The queries of `user_preferences`, bound to a tenant. Whoever has chosen nothing has no row. */
export function preferencesStore(db: Db, tenantId: string) {
  return {
    async find(userId: string): Promise<Preferences> {
      if (!isId(userId)) return {};
      const { rows } = await prepared<{ preferences: Preferences }>(
        db,
        'user-preferences-find',
        'SELECT preferences FROM user_preferences WHERE tenant_id = ? AND user_id = ?',
        [tenantId, userId],
      );
      return rows[0]?.preferences ?? {};
    },

    async set(userId: string, preferences: Preferences, at: Date): Promise<void> {
      await db('user_preferences')
        .insert({
          user_id: userId,
          tenant_id: tenantId,
          preferences: JSON.stringify(preferences),
          updated_at: at,
        })
        .onConflict('user_id')
        .merge(['preferences', 'updated_at']);
    },
  };
}
