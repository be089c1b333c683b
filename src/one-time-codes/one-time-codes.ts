import { randomInt } from 'node:crypto';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { equalSecrets, newId, newSecret, sha256 } from '../lib/ids.ts';
import { hmacSha256 } from '../lib/key-ring.ts';
import type { KeyRing } from '../lib/key-ring.ts';
import type { Sealer } from '../lib/sealer.ts';
import type { MailData, MailTemplate } from '../notifications/mail.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import { codeContextSchema } from './one-time-code.ts';
import type { CodeCheck, CodeContext, CodePurpose, LinkState, ProvedCode } from './one-time-code.ts';
import { oneTimeCodeStore } from './one-time-code-store.ts';
import type { CodeRow } from './one-time-code-store.ts';

/**
 * Proofs that somebody reads an address: six digits for who is at the page that asked, and a link for who
 * opens the mail elsewhere. Either works once, for ten minutes after the mail was sent, and only for its
 * purpose. A code can be tried five times, by nobody but the browser or client that asked for it. Looking at
 * a link uses nothing up, since mail scanners look at all of them.
 */
export type OneTimeCodes = ReturnType<typeof createOneTimeCodes>;

const CODE_SECONDS = 600;
/** How long after a proof what it is for may be done, such as typing a new password. */
const PROVED_SECONDS = 900;

export interface CodeRequest {
  purpose: CodePurpose;
  template: MailTemplate;
  address: string;
  /** Undefined where nobody has the address. */
  userId: string | undefined;
  /** What only the asking browser or client holds; undefined: there is a link alone. */
  binding: string | undefined;
  locale: string;
  /** The link's page of our own, for a token. */
  url?: ((token: string) => string) | undefined;
  context?: CodeContext;
  /** Of the mail, besides code and link. */
  mailData?: Omit<MailData, 'code' | 'url'>;
  /**
   * There is nothing to prove: the code made is nobody's and the mail, if its template makes one, has none. All
   * else looks and takes as if there were. `withheld`: no mail goes out either.
   */
  decoy?: 'mailed' | 'withheld' | undefined;
  isRequested?: boolean;
  ttlSeconds?: number;
}

export type SendOutcome = { ok: true } | { ok: false; retryAfterSeconds: number };

export function createOneTimeCodes({
  db,
  keyRing,
  sealer,
  enqueueMail,
}: {
  db: Db;
  keyRing: KeyRing;
  sealer: Sealer;
  enqueueMail: EnqueueMail;
}) {
  const macOf = (tenantId: string, id: string, code: string, keyId: string) =>
    hmacSha256(keyRing.derive('one-time-code', keyId), tenantId, id, code);
  const placeOf = (id: string) => `one_time_tokens:context_sealed:${id}`;

  function toProved(row: CodeRow): ProvedCode {
    const context: unknown =
      row.context_sealed === null ? {} : JSON.parse(sealer.open(row.context_sealed, placeOf(row.id)));
    return {
      id: row.id,
      purpose: row.purpose,
      address: row.address,
      userId: row.user_id ?? undefined,
      context: codeContextSchema.parse(context),
    };
  }

  function matches(tenantId: string, row: CodeRow, code: string): boolean {
    if (row.code_mac === null || row.code_key_id === null) return false;
    if (!keyRing.ids.includes(row.code_key_id)) return false;
    const mac = macOf(tenantId, row.id, code, row.code_key_id);
    return equalSecrets(mac.toString('base64'), row.code_mac.toString('base64'));
  }

  /** Codes are sent and copied with spaces and dashes in them. */
  const digitsOf = (typed: string) => typed.normalize('NFKC').replaceAll(/[\s-]/g, '').slice(0, 20);

  return {
    /**
     * Sends a code and link, in the transaction of whatever asks for it; those sent before for the same purpose
     * and binding end. Everything is alike for addresses that nobody has.
     * @returns that the address was sent as many as it may; then those sent before stay good
     */
    async send(trx: Db, actor: Actor, request: CodeRequest): Promise<SendOutcome> {
      const { purpose, address, userId, binding, decoy, ttlSeconds = CODE_SECONDS } = request;
      const { tenantId } = actor;
      const id = newId();
      const token = newSecret();
      const keyId = keyRing.currentId;
      const code = binding === undefined ? undefined : String(randomInt(1_000_000)).padStart(6, '0');

      const mail = await enqueueMail(trx, {
        tenantId,
        recipient: address,
        template: request.template,
        locale: request.locale,
        data: decoy
          ? {}
          : {
              ...request.mailData,
              ...(code === undefined ? {} : { code }),
              ...(request.url === undefined ? {} : { url: request.url(token) }),
            },
        isRequested: request.isRequested ?? true,
        isWithheld: decoy === 'withheld',
      });
      if (!mail.ok) return mail;

      const store = oneTimeCodeStore(trx, tenantId);
      const bindingHash = binding === undefined ? undefined : sha256(binding);
      if (bindingHash) await store.supersede(purpose, bindingHash);
      await store.insert({
        id,
        purpose,
        tokenHash: sha256(token),
        bindingHash,
        address,
        userId,
        code:
          code === undefined
            ? undefined
            : { mac: macOf(tenantId, id, decoy ? newSecret() : code, keyId), keyId },
        mailId: mail.id,
        ttlSeconds,
        contextSealed: sealer.seal(JSON.stringify(request.context ?? {}), placeOf(id)),
      });
      await recordEvent(trx, actor, 'auth.code_sent', {
        ...(userId === undefined ? {} : { target: { type: 'user', id: userId } }),
        reason: purpose,
      });
      return { ok: true };
    },

    /** Whom a code went to, for whoever counts guesses before they are judged. */
    addressOf: (tenantId: string, purpose: CodePurpose, binding: string): Promise<string | undefined> =>
      oneTimeCodeStore(db, tenantId).findAddress(purpose, sha256(binding)),

    /** What was sent for last to who holds the binding, among these purposes; undefined when nothing is known of it. */
    purposeOf: (
      tenantId: string,
      binding: string,
      purposes: readonly CodePurpose[],
    ): Promise<CodePurpose | undefined> =>
      oneTimeCodeStore(db, tenantId).findPurpose(sha256(binding), purposes),

    /** Judges a code that somebody typed. It is used up by `consumeProved`, within a quarter of an hour. */
    async check(
      actor: Actor,
      { purpose, binding, code }: { purpose: CodePurpose; binding: string; code: string },
    ): Promise<CodeCheck> {
      const { tenantId } = actor;
      const store = oneTimeCodeStore(db, tenantId);
      const bindingHash = sha256(binding);
      const row = await store.countTry(purpose, bindingHash);
      const isRight = row !== undefined && matches(tenantId, row, digitsOf(code));
      const isProved = isRight && !row.is_expired && (await store.prove(row.id, bindingHash));
      if (isProved) return { ok: true, proved: toProved(row) };

      const reason = row === undefined ? 'spent' : !isRight ? 'wrong' : row.is_expired ? 'expired' : 'spent';
      await db.transaction((trx) =>
        recordEvent(trx, actor, 'auth.code_refused', {
          ...(row?.user_id ? { target: { type: 'user', id: row.user_id } } : {}),
          reason,
          data: { purpose },
        }),
      );
      return { ok: false, reason };
    },

    /** Looks at a link without using it. */
    async inspect(
      tenantId: string,
      token: string,
    ): Promise<{ state: LinkState; link: ProvedCode | undefined }> {
      const row = await oneTimeCodeStore(db, tenantId).findByToken(sha256(token));
      if (!row) return { state: 'expired', link: undefined };
      const state = row.consumed_at ? 'used' : row.is_expired ? 'expired' : 'open';
      return { state, link: toProved(row) };
    },

    /** Takes a link for a proof, where the browser that asked for it goes on. @returns undefined: it is not open */
    async proveLink(tenantId: string, purpose: CodePurpose, binding: string, token: string) {
      const store = oneTimeCodeStore(db, tenantId);
      const row = await store.findByToken(sha256(token));
      if (!row || row.is_expired || row.purpose !== purpose) return undefined;
      return (await store.prove(row.id, sha256(binding))) ? toProved(row) : undefined;
    },

    /** What was proved and not used yet. */
    async findProved(
      tenantId: string,
      purpose: CodePurpose,
      binding: string,
    ): Promise<ProvedCode | undefined> {
      const row = await oneTimeCodeStore(db, tenantId).findProved(purpose, sha256(binding), PROVED_SECONDS);
      return row && toProved(row);
    },

    /** Uses up what was proved by code or link before, in the transaction of what it is for. */
    async consumeProved(
      trx: Db,
      tenantId: string,
      purpose: CodePurpose,
      binding: string,
    ): Promise<ProvedCode | undefined> {
      const store = oneTimeCodeStore(trx, tenantId);
      const row = await store.consumeProved(purpose, sha256(binding), PROVED_SECONDS);
      return row && toProved(row);
    },

    /** Uses up a link, in the transaction of what it is for. */
    async consumeLink(
      trx: Db,
      tenantId: string,
      purpose: CodePurpose,
      token: string,
    ): Promise<ProvedCode | undefined> {
      const store = oneTimeCodeStore(trx, tenantId);
      const row = await store.findByToken(sha256(token));
      if (!row || row.is_expired || row.purpose !== purpose) return undefined;
      return (await store.consume(row.id)) ? toProved(row) : undefined;
    },

    /**
     * To be called first by whoever ends all of a user's: who uses one up holds it and then asks for the user, and
     * several who end them come one after the other.
     */
    holdOf: (trx: Db, tenantId: string, userId: string): Promise<void> =>
      oneTimeCodeStore(trx, tenantId).holdOf(userId),

    /** Ends all of a user's codes and links of a purpose, and what was proved by them and not used yet. */
    supersedeOf: (trx: Db, tenantId: string, userId: string, purpose: CodePurpose): Promise<void> =>
      oneTimeCodeStore(trx, tenantId).supersedeOf(userId, purpose),
  };
}
