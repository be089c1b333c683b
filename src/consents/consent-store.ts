import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { newId } from '../lib/ids.ts';
import { mergeConsents } from './consent.ts';
import type { Consent } from './consent.ts';

/** Takes tenant, user, client and id. Whoever takes the consent back waits, and then ends what was built on it. */
export const CONSENT_STANDS = `SELECT 1 FROM consents
  WHERE tenant_id = ?::uuid AND user_id = ?::uuid AND client_id = ?::text AND id = ?::uuid FOR KEY SHARE`;

export function consentStore(db: Db, tenantId: string) {
  return {
    /** @param options.isHeld whether it can be added to and not taken back until the transaction ends */
    async find(
      userId: string,
      clientId: string,
      { isHeld = false } = {},
    ): Promise<(Consent & { id: string }) | undefined> {
      const { rows } = await prepared<Consent & { id: string }>(
        db,
        `consent_find${isHeld ? '_held' : ''}`,
        `SELECT id, scopes, claims, resources FROM consents
          WHERE tenant_id = ? AND user_id = ? AND client_id = ? ${isHeld ? 'FOR KEY SHARE' : ''}`,
        [tenantId, userId, clientId],
      );
      return rows[0];
    },

    /**
     * Adds to what was allowed before; of two answers given at once none is lost. Needs a transaction.
     * @returns all that is allowed now
     */
    async add(userId: string, clientId: string, consent: Consent): Promise<Consent> {
      const key = { tenant_id: tenantId, user_id: userId, client_id: clientId };
      await db('consents')
        .insert({ id: newId(), ...key })
        .onConflict(['tenant_id', 'user_id', 'client_id'])
        .ignore();
      const before = await db<Consent>('consents')
        .where(key)
        .forUpdate()
        .first('scopes', 'claims', 'resources');
      const after = before ? mergeConsents(before, consent) : consent;
      await db('consents')
        .where(key)
        .update({ ...after, resources: JSON.stringify(after.resources), updated_at: db.fn.now() });
      return after;
    },

    /** Everything the person allowed, each with when they first allowed the app something. */
    async list(userId: string): Promise<(Consent & { clientId: string; since: Date })[]> {
      const rows = await db('consents')
        .where({ tenant_id: tenantId, user_id: userId })
        .select('client_id', 'scopes', 'claims', 'resources', 'created_at');
      return rows.map(({ client_id: clientId, created_at: since, scopes, claims, resources }) => ({
        clientId,
        since,
        scopes,
        claims,
        resources,
      }));
    },

    /** @returns whether there was one */
    async remove(userId: string, clientId: string): Promise<boolean> {
      const removed = await db('consents')
        .where({ tenant_id: tenantId, user_id: userId, client_id: clientId })
        .delete();
      return removed > 0;
    },
  };
}
