import type { SignInAttempts } from '../attempts/sign-in-attempts.ts';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import type { Links } from '../one-time-codes/links.ts';
import type { CodeCheck, ProvedCode } from '../one-time-codes/one-time-code.ts';
import type { OneTimeCodes, SendOutcome } from '../one-time-codes/one-time-codes.ts';
import type { User } from '../users/user.ts';
import type { UserService } from '../users/user-service.ts';
import { mayRecover } from './may-recover.ts';
import { recoveryError, whileUserExists } from './recovery-errors.ts';

/**
 * A new password for who has forgotten theirs and proves to read the account's address. It replaces the
 * password and nothing else: whoever turns the answer into a session asks for the second factor as after any
 * password.
 */
export type PasswordReset = ReturnType<typeof createPasswordReset>;

export type ResetCheck =
  | CodeCheck
  /** Too many failures at this account, by code or password: nothing was judged. */
  | { ok: false; reason: 'throttled'; retryAfterSeconds: number };

/** What was proved before: by code in the same browser or client, or by the link of the mail. */
export type Proof = { binding: string } | { token: string };

export interface PasswordResetDeps {
  db: Db;
  codes: OneTimeCodes;
  links: Links;
  enqueueMail: EnqueueMail;
  attempts: Pick<SignInAttempts, 'begin'>;
  usersOn: (
    db: Db,
  ) => Pick<UserService, 'findByEmail' | 'preparePassword' | 'storePassword' | 'confirmEmail' | 'unlock'>;
}

export function createPasswordReset(deps: PasswordResetDeps) {
  const { db, codes, links, enqueueMail, attempts, usersOn } = deps;

  async function find(tenantId: string, proof: Proof): Promise<ProvedCode | undefined> {
    if ('binding' in proof) return codes.findProved(tenantId, 'password_reset', proof.binding);
    const { state, link } = await codes.inspect(tenantId, proof.token);
    return state === 'open' && link?.purpose === 'password_reset' ? link : undefined;
  }

  return {
    /**
     * Sends a code and link to the account's address, if there is one. The answer, the work and its time are the
     * same for an address that nobody has.
     * @param actor the anonymous visitor
     * @param request.email as `parseEmail` returns it
     * @param request.binding what only this browser or client holds; the code is worth nothing without it
     * @param request.interactionUid of the sign-in it belongs to, where the link leads back to
     */
    async start(
      actor: Actor,
      request: {
        email: string;
        binding: string;
        locale: string;
        interactionUid?: string | undefined;
        clientId?: string | undefined;
      },
    ): Promise<SendOutcome> {
      const { email, binding, locale, interactionUid, clientId } = request;
      const user = await usersOn(db).findByEmail(actor, email);
      const url = await links.of(actor.tenantId, interactionUid);
      return db.transaction((trx) =>
        codes.send(trx, actor, {
          purpose: 'password_reset',
          template: 'password_reset',
          address: user?.email ?? email,
          userId: user?.id,
          binding,
          locale,
          url,
          context: { locale, ...(clientId === undefined ? {} : { clientId }) },
          decoy: user && mayRecover(user) ? undefined : 'withheld',
        }),
      );
    },

    /**
     * Judges the code; then `complete` may follow within a quarter of an hour. Failures count with those of the
     * password, before they are judged: what is typed can be guessed. The link of the mail cannot, so nobody's
     * failures stand in its way.
     */
    async check(
      actor: Actor,
      { binding, code, isKnownBrowser = false }: { binding: string; code: string; isKnownBrowser?: boolean },
    ): Promise<ResetCheck> {
      const purpose = 'password_reset';
      const email = await codes.addressOf(actor.tenantId, purpose, binding);
      if (email === undefined) return { ok: false, reason: 'spent' };
      const attempt = await attempts.begin(actor.tenantId, { email, ip: actor.ip, isKnownBrowser });
      if (!attempt.ok) return { ...attempt, reason: 'throttled' };

      const checked = await codes.check(actor, { purpose, binding, code });
      if (checked.ok) await attempt.succeeded();
      else if (checked.reason === 'spent') await attempt.withdraw();
      else await attempt.failed(actor, (await usersOn(db).findByEmail(actor, email))?.id);
      return checked;
    },

    /** The same by the link of the mail, in the browser that asked for it. @returns whether it was right */
    async checkLink(actor: Actor, { binding, token }: { binding: string; token: string }): Promise<boolean> {
      return (await codes.proveLink(actor.tenantId, 'password_reset', binding, token)) !== undefined;
    },

    /**
     * Sets the password, once for each proof. Codes and links that were sent before end, an account that was
     * locked for too many failures opens, and the owner is told by mail.
     * @param options.endsAccess whether all sessions and grants there are end with the old password
     * @throws {AppError} `recovery.not_proved` (410), `password.unacceptable`, which leaves the proof as it was,
     *   `password.busy`
     */
    async complete(
      actor: Actor,
      proof: Proof,
      { password, endsAccess, locale }: { password: string; endsAccess: boolean; locale: string },
    ): Promise<{ user: User; proved: ProvedCode }> {
      const { tenantId } = actor;
      const open = await find(tenantId, proof);
      if (open?.userId === undefined) throw recoveryError('not_proved');
      // Takes its time, during which nothing must be locked.
      const { userId: ownerId } = open;
      const stored = await whileUserExists(() => usersOn(db).preparePassword(actor, ownerId, password));

      return db.transaction(async (trx) => {
        await codes.holdOf(trx, tenantId, ownerId);
        const proved =
          'token' in proof
            ? await codes.consumeLink(trx, tenantId, 'password_reset', proof.token)
            : await codes.consumeProved(trx, tenantId, 'password_reset', proof.binding);
        const { userId } = proved ?? {};
        if (proved === undefined || userId === undefined) throw recoveryError('not_proved');
        const users = usersOn(trx);
        const found = await users.findByEmail(actor, proved.address);
        // Since the mail was sent the address can have changed hands, and the account can have been deleted.
        if (found?.id !== userId || !mayRecover(found)) throw recoveryError('not_proved');

        const owner: Actor = { ...actor, type: 'user', id: userId };
        await users.storePassword(owner, userId, stored, { keepsAccess: !endsAccess });
        await users.unlock(owner, userId, { reason: 'mail' });
        const user = await users.confirmEmail(owner, userId);
        for (const purpose of ['password_reset', 'sign_in'] as const) {
          await codes.supersedeOf(trx, tenantId, userId, purpose);
        }
        await recordEvent(trx, owner, 'user.password_reset', { target: { type: 'user', id: userId } });
        await enqueueMail(trx, {
          tenantId,
          recipient: user.email,
          template: 'password_changed',
          locale,
          data: { address: user.email },
          isRequested: false,
        });
        return { user, proved };
      });
    },
  };
}
