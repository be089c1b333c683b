import { AsyncLocalStorage } from 'node:async_hooks';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import { systemActor } from '../http/actor.ts';
import type { Logger } from '../lib/logger.ts';
import { oneAtATime } from '../lib/one-at-a-time.ts';
import type { Sealer } from '../lib/sealer.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import type { Tenant } from '../tenants/tenant.ts';
import { MailError } from './mail.ts';
import type { Mailbox, MailData, MailTransport, RenderedMail } from './mail.ts';
import { claimDueMails, dataPlace, finishMail, giveUpMail, postponeMail } from './mail-store.ts';
import type { DueMail } from './mail-store.ts';

/**
 * Brings mails from the table to the mail server. Any number of processes may be at it: a mail is claimed
 * before it is sent, so only one that dies between the server's "accepted" and our own note of it makes a
 * mail go out twice, and then both carry one Message-ID, by which mailboxes drop the second.
 */
export interface MailDelivery {
  /** Sends what is due until nothing is. */
  deliverDue(signal?: AbortSignal): Promise<void>;
  /** The same soon, without waiting for it; nothing before `start`. */
  wake(): void;
  /** From now on this process delivers what it makes. */
  start(): void;
  /** Resolves when nothing is under way. */
  stop(): Promise<void>;
}

const BATCH = 10;
/** Longer than any attempt may take. */
const CLAIM_SECONDS = 180;
const FIRST_DELAY_SECONDS = 10;
const LONGEST_DELAY_SECONDS = 3600;
/** About five hours; what a code or a link is good for is over long before. */
const MOST_ATTEMPTS = 12;

export interface MailDeliveryDeps {
  db: Db;
  sealer: Sealer;
  transport: MailTransport;
  /** Whether what was sent stays readable here, as for the development inbox. */
  keepsData: boolean;
  render: (
    tenant: Tenant,
    mail: Pick<DueMail, 'template' | 'locale' | 'recipient'>,
    data: MailData,
  ) => RenderedMail;
  senderOf: (tenant: Tenant) => Mailbox;
  log: Logger;
  /** From 0 up to 1. */
  random?: () => number;
}

export function createMailDelivery({
  db,
  sealer,
  transport,
  keepsData,
  render,
  senderOf,
  log,
  random = Math.random,
}: MailDeliveryDeps): MailDelivery {
  // Whoever asks for a mail does it on the time of their request, which is no limit for its delivery.
  const outsideOfRequests = AsyncLocalStorage.snapshot();
  const stopping = new AbortController();
  let isStarted = false;
  let last = Promise.resolve();

  const runQueued = oneAtATime(() => deliverDue(stopping.signal));

  async function deliverDue(signal = stopping.signal): Promise<void> {
    while (!signal.aborted) {
      const due = await claimDueMails(db, BATCH, CLAIM_SECONDS);
      await Promise.all(due.map(deliver));
      if (due.length < BATCH) return;
    }
  }

  async function deliver(mail: DueMail): Promise<void> {
    try {
      await send(mail);
    } catch (err) {
      await fail(mail, err);
      return;
    }
    await finishMail(db, mail, keepsData);
    log.info({ mail: mail.id, template: mail.template, attempts: mail.attempts }, 'mail sent');
  }

  async function send(mail: DueMail): Promise<void> {
    const tenant = await tenantStore(db).find(mail.tenantId);
    if (!tenant || tenant.disabledAt || mail.dataSealed === null) throw new MailError('rejected');
    const data: MailData = JSON.parse(sealer.open(mail.dataSealed, dataPlace(mail.id)));
    const from = senderOf(tenant);
    const domain = from.address.slice(from.address.lastIndexOf('@') + 1);
    await transport.send({
      ...render(tenant, mail, data),
      from,
      to: mail.recipient,
      messageId: `<${mail.id}@${domain}>`,
    });
  }

  async function fail(mail: DueMail, err: unknown): Promise<void> {
    const { id, template, attempts } = mail;
    const reason = err instanceof MailError ? err.reason : 'internal';
    if (reason === 'rejected' || attempts >= MOST_ATTEMPTS) {
      log.error({ err, mail: id, template, attempts }, 'gave up sending a mail');
      await db.transaction(async (trx) => {
        if (!(await giveUpMail(trx, mail, reason))) return;
        await recordEvent(trx, systemActor(mail.tenantId), 'mail.failed', {
          target: { type: 'mail', id },
          reason,
          data: { template, attempts },
        });
      });
      return;
    }
    const delay = Math.min(FIRST_DELAY_SECONDS * 2 ** (attempts - 1), LONGEST_DELAY_SECONDS);
    // Half of it at random: mails that failed together do not come back together.
    const delaySeconds = delay * (0.5 + 0.5 * random());
    log.warn({ err, mail: id, template, attempts, delaySeconds }, 'a mail could not be sent');
    await postponeMail(db, mail, delaySeconds, reason);
  }

  return {
    deliverDue,
    wake() {
      if (!isStarted || stopping.signal.aborted) return;
      outsideOfRequests(() => {
        last = runQueued().catch((err: unknown) => log.error({ err }, 'mails could not be delivered'));
      });
    },
    start() {
      isStarted = true;
    },
    async stop() {
      stopping.abort();
      await last;
    },
  };
}
