import type { Db } from '../db/database.ts';
import { issuerOf } from '../tenants/tenant.ts';
import { tenantStore } from '../tenants/tenant-store.ts';

/** Where the links of mails lead: pages that look, and act only when their button is pressed. */
export type Links = ReturnType<typeof createLinks>;

/** @param publicUrl the configured origin: a link never depends on a request */
export function createLinks({ db, publicUrl }: { db: Db; publicUrl: string }) {
  return {
    /**
     * @param interactionUid of the sign-in that asks: the browser it belongs to goes on there, any other sees the
     *   page by itself
     * @returns the address for a token
     */
    async of(tenantId: string, interactionUid?: string): Promise<(token: string) => string> {
      const tenant = await tenantStore(db).find(tenantId);
      if (!tenant) throw new Error('a link of a tenant that is gone');
      const issuer = issuerOf(publicUrl, tenant);
      const page = interactionUid === undefined ? 'link' : `interaction/${interactionUid}/link`;
      return (token) => `${issuer}/${page}?token=${token}`;
    },
  };
}
