import type { Db } from '../db/database.ts';
import type { MailTemplate } from './mail.ts';

/** How many mails one address may be asked for, and within which time. */
const LIMITS = [
  { count: 5, seconds: 3600 },
  { count: 20, seconds: 86_400 },
] as const;
const KEPT_SECONDS = 7 * 86_400;

/** A mail that is due, claimed by whoever reads it. */
export interface DueMail {
  id: string;
  tenantId: string;
  recipient: string;
  template: MailTemplate;
  locale: string;
  dataSealed: string | null;
  /** This one included. */
  attempts: number;
}

export interface MailInsert {
  id: string;
  recipient: string;
  template: MailTemplate;
  locale: string;
  dataSealed: string;
  idempotencyKey: string;
  isRequested: boolean;
  status: 'queued' | 'withheld';
}

/** The mails of one tenant. */
export function mailStore(db: Db, tenantId: string) {
  return {
    /**
     * Until the transaction ends nobody else asks for a mail to this address.
     * @returns the seconds until it may be asked for one more; 0: now
     */
    async waitSeconds(recipient: string): Promise<number> {
      await db.raw('SELECT pg_advisory_xact_lock(hashtextextended(lower(?), 0))', [
        `mail:${tenantId}:${recipient}`,
      ]);
      const longest = Math.max(...LIMITS.map(({ seconds }) => seconds));
      const { rows } = await db.raw<{ rows: { ages: number[] | null }[] }>(
        `SELECT array_agg(age ORDER BY age) AS ages FROM (
           SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 AS age FROM mails
            WHERE tenant_id = ? AND lower(recipient) = lower(?) AND is_requested
              AND created_at > clock_timestamp() - make_interval(secs => ?)) AS asked`,
        [tenantId, recipient, longest],
      );
      const ages = rows[0]?.ages ?? [];
      // The oldest of the last `count` must leave the window first.
      const waits = LIMITS.map(({ count, seconds }) => seconds - (ages[count - 1] ?? seconds));
      return Math.max(0, Math.ceil(Math.max(...waits)));
    },

    /** @returns false where there is one under this key already */
    async insert(mail: MailInsert): Promise<boolean> {
      const inserted = await db('mails')
        .insert({
          id: mail.id,
          tenant_id: tenantId,
          recipient: mail.recipient,
          template: mail.template,
          locale: mail.locale,
          data_sealed: mail.dataSealed,
          idempotency_key: mail.idempotencyKey,
          is_requested: mail.isRequested,
          status: mail.status,
          // Not the transaction's beginning: the limit counts in the order the lock was had.
          created_at: db.raw('clock_timestamp()'),
          expires_at: db.raw('now() + make_interval(secs => ?)', [KEPT_SECONDS]),
        })
        .onConflict(['tenant_id', 'idempotency_key'])
        .ignore()
        .returning('id');
      return inserted.length > 0;
    },

    async findByKey(idempotencyKey: string): Promise<string | undefined> {
      const row = await db('mails')
        .where({ tenant_id: tenantId, idempotency_key: idempotencyKey })
        .first('id');
      return row?.id;
    },
  };
}

export function dataPlace(id: string): string {
  return `mails:data_sealed:${id}`;
}

/**
 * Claims mails that are due, of all tenants: until the claim ends nobody else takes them, and whoever is
 * gone by then has not sent them, as far as anybody knows. The time is the statement's: an index cannot be asked
 * for what lies before a clock that goes on.
 */
export async function claimDueMails(db: Db, limit: number, claimSeconds: number): Promise<DueMail[]> {
  const { rows } = await db.raw<{ rows: DueMailRow[] }>(
    `UPDATE mails SET status = 'sending', attempts = attempts + 1, updated_at = now(),
       next_attempt_at = clock_timestamp() + make_interval(secs => ?)
      WHERE id = ANY (ARRAY (
        SELECT id FROM mails WHERE status IN ('queued', 'sending') AND next_attempt_at <= statement_timestamp()
         ORDER BY next_attempt_at LIMIT ? FOR UPDATE SKIP LOCKED))
      RETURNING id, tenant_id, recipient, template, locale, data_sealed, attempts`,
    [claimSeconds, limit],
  );
  return rows.map((row) => ({
    id: row.id,
    tenantId: row.tenant_id,
    recipient: row.recipient,
    template: row.template,
    locale: row.locale,
    dataSealed: row.data_sealed,
    attempts: row.attempts,
  }));
}

interface DueMailRow {
  id: string;
  tenant_id: string;
  recipient: string;
  template: MailTemplate;
  locale: string;
  data_sealed: string | null;
  attempts: number;
}

/** @param keepsData for the development inbox, which shows what was sent */
export async function finishMail(db: Db, { id, attempts }: DueMail, keepsData: boolean): Promise<void> {
  await db('mails')
    .where({ id, status: 'sending', attempts })
    .update({
      status: 'sent',
      sent_at: db.raw('clock_timestamp()'),
      updated_at: db.fn.now(),
      last_error: null,
      ...(keepsData ? {} : { data_sealed: null }),
    });
}

export async function postponeMail(
  db: Db,
  { id, attempts }: DueMail,
  delaySeconds: number,
  reason: string,
): Promise<void> {
  await db('mails')
    .where({ id, status: 'sending', attempts })
    .update({
      status: 'queued',
      next_attempt_at: db.raw('clock_timestamp() + make_interval(secs => ?)', [delaySeconds]),
      last_error: reason,
      updated_at: db.fn.now(),
    });
}

/** @returns whether this call, and no other, gave it up */
export async function giveUpMail(db: Db, { id, attempts }: DueMail, reason: string): Promise<boolean> {
  const count = await db('mails')
    .where({ id, status: 'sending', attempts })
    .update({ status: 'failed', data_sealed: null, last_error: reason, updated_at: db.fn.now() });
  return count === 1;
}
