import type { Db } from '../db/database.ts';
import { SOURCE_LOCALE } from '../i18n/translations.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import { tenantStore } from '../tenants/tenant-store.ts';

/**
 * What people are told when somebody else changes how they sign in (ASVS 5.0 §6.3.7): there is nothing to undo it by,
 * since the former address can be one that its owner has lost.
 */
export interface OwnerNotice {
  /** Of the former address, where the address is what was changed. */
  recipient: string;
  template: 'email_changed_for_you' | 'password_set_for_you';
  /** The account's, after the change. */
  address: string;
  /** What the outbox cannot know of an address that is nobody's any more. */
  savedLocale?: string | undefined;
}

export type TellOwner = (trx: Db, tenantId: string, notice: OwnerNotice) => Promise<void>;

/** @param enqueueMail undefined where no mail can be sent */
export function createOwnerNotices({ enqueueMail }: { enqueueMail: EnqueueMail | undefined }): TellOwner {
  return async (trx, tenantId, { recipient, template, address, savedLocale }) => {
    if (!enqueueMail) return;
    const tenant = await tenantStore(trx).find(tenantId);
    const locale = savedLocale ?? tenant?.settings.locale ?? SOURCE_LOCALE;
    await enqueueMail(trx, { tenantId, recipient, template, locale, data: { address }, isRequested: false });
  };
}
