import { afterCommit } from '../db/after-commit.ts';
import type { Db } from '../db/database.ts';
import { newId } from '../lib/ids.ts';
import type { Sealer } from '../lib/sealer.ts';
import type { EnqueueOutcome, NewMail } from './mail.ts';
import { dataPlace, mailStore } from './mail-store.ts';

/**
 * Where mails begin: a row in the transaction of what they tell, so that neither happens without the other.
 * The delivery (mail-delivery.ts) takes it from there. This folder owns mails; why one is sent, and what its
 * codes and links do, belongs to others.
 */
export type EnqueueMail = (trx: Db, mail: NewMail) => Promise<EnqueueOutcome>;

/** @returns what the reader of an address saved as their language, if somebody has that address */
export type ReaderLocale = (trx: Db, tenantId: string, recipient: string) => Promise<string | undefined>;

/** @param deps.wake called after the commit, so that the mail need not wait for the next look at the table */
export function createMailOutbox({
  sealer,
  readerLocale,
  wake,
}: {
  sealer: Sealer;
  readerLocale: ReaderLocale;
  wake: () => void;
}): EnqueueMail {
  return async (trx, mail) => {
    const store = mailStore(trx, mail.tenantId);
    if (mail.isRequested) {
      const retryAfterSeconds = await store.waitSeconds(mail.recipient);
      if (retryAfterSeconds > 0) return { ok: false, retryAfterSeconds };
    }
    const id = newId();
    const idempotencyKey = mail.idempotencyKey ?? id;
    const isNew = await store.insert({
      id,
      recipient: mail.recipient,
      template: mail.template,
      locale: (await readerLocale(trx, mail.tenantId, mail.recipient)) ?? mail.locale,
      dataSealed: sealer.seal(JSON.stringify(mail.data), dataPlace(id)),
      idempotencyKey,
      isRequested: mail.isRequested,
      status: mail.isWithheld === true ? 'withheld' : 'queued',
    });
    if (!isNew) return { ok: true, id: (await store.findByKey(idempotencyKey)) ?? id };
    afterCommit(trx, wake);
    return { ok: true, id };
  };
}
