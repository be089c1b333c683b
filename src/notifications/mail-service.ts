import type { Db } from '../db/database.ts';
import type { Translations } from '../i18n/translations.ts';
import type { Logger } from '../lib/logger.ts';
import type { Sealer } from '../lib/sealer.ts';
import type { Tenant } from '../tenants/tenant.ts';
import type { Mailbox, MailTransport } from './mail.ts';
import { createMailDelivery } from './mail-delivery.ts';
import { createMailOutbox } from './mail-outbox.ts';
import type { ReaderLocale } from './mail-outbox.ts';
import { parseMailbox } from './mailbox.ts';
import { createMailRenderer } from './render-mail.ts';

export type MailService = ReturnType<typeof createMailService>;

/**
 * Mails, wired.
 * @param settings undefined: nothing can be sent, so whoever needs mail must not offer what needs it
 * @param transport undefined: the development inbox, where mails stay instead of going out
 */
export function createMailService({
  db,
  sealer,
  translations,
  settings,
  transport,
  readerLocale,
  log,
}: {
  db: Db;
  sealer: Sealer;
  translations: Translations;
  settings: { from: string } | undefined;
  transport: MailTransport | undefined;
  readerLocale: ReaderLocale;
  log: Logger;
}) {
  const render = createMailRenderer({ translations });
  const delivery = createMailDelivery({
    db,
    sealer,
    transport: transport ?? INBOX,
    keepsData: transport === undefined,
    render,
    senderOf,
    log,
  });

  return {
    isAvailable: settings !== undefined,
    /** Whether mails end in the development inbox. */
    hasInbox: settings !== undefined && transport === undefined,
    enqueue: createMailOutbox({ sealer, readerLocale, wake: () => delivery.wake() }),
    delivery,
    render,
  };

  /** In the tenant's name, unless the operator has given another. */
  function senderOf(tenant: Tenant): Mailbox {
    const { name, address } = parseMailbox(tenant.settings.mailFrom ?? settings?.from ?? '');
    return { name: name || tenant.name, address };
  }
}

const INBOX: MailTransport = { send: async () => {} };
