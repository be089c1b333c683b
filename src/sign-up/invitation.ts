import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { defineErrors } from '../lib/errors.ts';
import type { Links } from '../one-time-codes/links.ts';
import type { OneTimeCodes } from '../one-time-codes/one-time-codes.ts';
import type { User } from '../users/user.ts';
import type { UserService } from '../users/user-service.ts';

/** Accounts that somebody makes for somebody else: pending, until the person opens the mail and chooses a password. */
export type Invitations = ReturnType<typeof createInvitations>;

const LINK_SECONDS = 7 * 86_400;

const fail = defineErrors('invitation', {
  no_mail: { status: 409, message: 'No mail can be sent, so nobody can be invited. Set SMTP_URL.' },
  not_pending: { status: 409, message: 'A user with this address has an account already.' },
  link_invalid: {
    status: 410,
    message: 'This invitation was accepted already, or it has expired. Ask for a new one.',
  },
});

export interface InvitationDeps {
  db: Db;
  isMailAvailable: boolean;
  codes: OneTimeCodes;
  links: Links;
  usersOn: (
    db: Db,
  ) => Pick<UserService, 'create' | 'findByEmail' | 'preparePassword' | 'storePassword' | 'confirmEmail'>;
}

export function createInvitations({ db, isMailAvailable, codes, links, usersOn }: InvitationDeps) {
  async function send(trx: Db, actor: Actor, user: User, locale: string, isRequested: boolean) {
    const url = await links.of(actor.tenantId);
    await codes.supersedeOf(trx, actor.tenantId, user.id, 'invitation');
    return codes.send(trx, actor, {
      purpose: 'invitation',
      template: 'invitation',
      address: user.email,
      userId: user.id,
      binding: undefined,
      locale,
      url,
      context: { locale },
      isRequested,
      ttlSeconds: LINK_SECONDS,
    });
  }

  return {
    /**
     * Makes a pending user and mails the link, which works for a week; who is pending already gets a new one, and
     * the old one ends.
     * @throws {AppError} `invitation.no_mail`, `invitation.not_pending`, `user.email_invalid`, `user.claims_invalid`
     */
    async invite(
      actor: Actor,
      input: { email: string; locale: string; claims?: Readonly<Record<string, unknown>> | undefined },
    ): Promise<User> {
      if (!isMailAvailable) throw fail('no_mail');
      return db.transaction(async (trx) => {
        const users = usersOn(trx);
        const existing = await users.findByEmail(actor, input.email);
        if (existing && existing.status !== 'pending') throw fail('not_pending');
        const { email, claims } = input;
        const user = existing ?? (await users.create(actor, { email, claims, status: 'pending' }));
        await send(trx, actor, user, input.locale, false);
        await recordEvent(trx, actor, 'user.invited', { target: { type: 'user', id: user.id } });
        return user;
      });
    },

    /**
     * Sends a new link in place of one that has expired, to the address that one went to. It tells nothing: whoever
     * holds a link that never existed, or was accepted, is answered alike.
     */
    async renew(actor: Actor, token: string): Promise<void> {
      const { state, link } = await codes.inspect(actor.tenantId, token);
      if (state !== 'expired' || link?.purpose !== 'invitation' || link.userId === undefined) return;
      const { userId, context, address } = link;
      await db.transaction(async (trx) => {
        const user = await usersOn(trx).findByEmail(actor, address);
        if (user?.id !== userId || user.status !== 'pending') return;
        await send(trx, actor, user, context.locale ?? 'en', true);
      });
    },

    /**
     * Sets the password and makes the account active, once for each link.
     * @throws {AppError} `invitation.link_invalid` (410); `password.unacceptable`, which leaves the link as it was
     */
    async accept(actor: Actor, token: string, { password }: { password: string }): Promise<User> {
      const { tenantId } = actor;
      const { state, link } = await codes.inspect(tenantId, token);
      if (state !== 'open' || link?.purpose !== 'invitation' || link.userId === undefined)
        throw fail('link_invalid');
      const invited = await usersOn(db).findByEmail(actor, link.address);
      if (invited?.id !== link.userId) throw fail('link_invalid');
      const stored = await usersOn(db).preparePassword(actor, link.userId, password);

      return db.transaction(async (trx) => {
        const proved = await codes.consumeLink(trx, tenantId, 'invitation', token);
        if (proved?.userId === undefined) throw fail('link_invalid');
        const users = usersOn(trx);
        const user = await users.findByEmail(actor, proved.address);
        if (user?.id !== proved.userId || user.status !== 'pending') throw fail('link_invalid');
        const owner: Actor = { ...actor, type: 'user', id: user.id };
        await users.storePassword(owner, user.id, stored);
        return users.confirmEmail(owner, user.id);
      });
    },
  };
}
