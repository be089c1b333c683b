import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';

/** The language that people saved in their profile, bound to a tenant: screens and mails are in it. */
export function savedLocales(db: Db, tenantId: string) {
  return {
    async of(userId: string): Promise<string | undefined> {
      const { rows } = await prepared<LocaleRow>(
        db,
        'saved-locale',
        `SELECT p.claims->>'locale' AS locale FROM user_profiles p WHERE p.tenant_id = ? AND p.user_id = ?`,
        [tenantId, userId],
      );
      return rows[0]?.locale ?? undefined;
    },

    /** @param email as `parseEmail` returns it */
    async ofReader(email: string): Promise<string | undefined> {
      const { rows } = await prepared<LocaleRow>(
        db,
        'saved-locale-of-reader',
        `SELECT p.claims->>'locale' AS locale FROM users u JOIN user_profiles p ON p.user_id = u.id
         WHERE u.tenant_id = ? AND lower(u.email) = lower(?) AND u.deleted_at IS NULL`,
        [tenantId, email],
      );
      return rows[0]?.locale ?? undefined;
    },
  };
}

interface LocaleRow {
  locale: string | null;
}
