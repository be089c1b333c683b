import type { Db } from '../db/database.ts';
import { isId } from '../lib/ids.ts';
import type { Sealer } from '../lib/sealer.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import type { MailData, MailTemplate, RenderedMail } from './mail.ts';
import { dataPlace } from './mail-store.ts';
import type { MailService } from './mail-service.ts';

const MOST_SHOWN = 50;

export interface InboxMail extends RenderedMail {
  id: string;
  recipient: string;
  sentAt: Date;
}

/** The mails of all tenants as the development inbox shows them, newest first. */
export function createInbox({
  db,
  sealer,
  mail,
}: {
  db: Db;
  sealer: Sealer;
  mail: Pick<MailService, 'render'>;
}) {
  const shown = () => db<InboxRow>('mails').where({ status: 'sent' }).whereNotNull('data_sealed');

  async function open(row: InboxRow): Promise<InboxMail[]> {
    const tenant = await tenantStore(db).find(row.tenant_id);
    if (!tenant) return [];
    const data: MailData = JSON.parse(sealer.open(row.data_sealed, dataPlace(row.id)));
    const rendered = mail.render(tenant, row, data);
    return [{ id: row.id, recipient: row.recipient, sentAt: row.sent_at, ...rendered }];
  }

  return {
    async list(): Promise<InboxMail[]> {
      const rows = await shown().orderBy('sent_at', 'desc').limit(MOST_SHOWN);
      return (await Promise.all(rows.map(open))).flat();
    },

    async find(id: string): Promise<InboxMail | undefined> {
      const row = isId(id) ? await shown().where({ id }).first() : undefined;
      return row && (await open(row))[0];
    },
  };
}

interface InboxRow {
  id: string;
  tenant_id: string;
  recipient: string;
  template: MailTemplate;
  locale: string;
  status: string;
  data_sealed: string;
  sent_at: Date;
}
