import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { defineErrors } from '../lib/errors.ts';
import type { Links } from '../one-time-codes/links.ts';
import type { OneTimeCodes } from '../one-time-codes/one-time-codes.ts';
import type { TenantSettings } from '../tenants/tenant-settings.ts';
import type { User } from '../users/user.ts';
import type { UserService } from '../users/user-service.ts';

/**
 * Accounts that people make for themselves: address, code, then password and profile. Nothing exists before the
 * address is proved, so nobody can take somebody else's address first and wait for them. Who was invited, and
 * so is pending, becomes active by the same proof.
 */
export type SignUp = ReturnType<typeof createSignUp>;

/** For whoever answers by errors: `start` returns its refusals. */
export const signUpError = defineErrors('sign_up', {
  closed: { status: 403, message: 'Nobody can sign up here.' },
  domain_not_allowed: { status: 403, message: 'Addresses of this domain cannot sign up here.' },
  not_proved: {
    status: 410,
    message: 'This code was used already, or it has expired. Ask for a new one.',
  },
  existing: { status: 409, message: 'There is an account with this address already. Sign in instead.' },
});

export type SignUpStart =
  | { ok: true }
  /** Nobody can sign up, or nobody with an address of this domain: that tells nothing of who exists. */
  | { ok: false; reason: 'closed' | 'domain_not_allowed' }
  | { ok: false; reason: 'throttled'; retryAfterSeconds: number };

export interface SignUpDeps {
  db: Db;
  codes: OneTimeCodes;
  links: Links;
  usersOn: (
    db: Db,
  ) => Pick<
    UserService,
    | 'findByEmail'
    | 'create'
    | 'prepareFirstPassword'
    | 'preparePassword'
    | 'storePassword'
    | 'confirmEmail'
    | 'update'
  >;
}

type Users = ReturnType<SignUpDeps['usersOn']>;

export function createSignUp({ db, codes, links, usersOn }: SignUpDeps) {
  return {
    /**
     * Sends a code to who may sign up. Whoever has an account is told so by the mail; the answer and the work are
     * the same.
     * @param request.email as `parseEmail` returns it
     * @param request.binding what only this browser or client holds
     */
    async start(
      actor: Actor,
      { signUp, signUpDomains }: Pick<TenantSettings, 'signUp' | 'signUpDomains'>,
      request: { email: string; binding: string; locale: string; interactionUid?: string | undefined },
    ): Promise<SignUpStart> {
      const { email, binding, locale, interactionUid } = request;
      if (signUp === 'off') return { ok: false, reason: 'closed' };
      if (signUp === 'domains' && !signUpDomains.includes(domainOf(email)))
        return { ok: false, reason: 'domain_not_allowed' };

      const user = await usersOn(db).findByEmail(actor, email);
      const url = await links.of(actor.tenantId, interactionUid);
      const isExisting = user !== undefined && user.status !== 'pending';
      const isUninvited = signUp === 'invitation' && user === undefined;
      const sent = await db.transaction((trx) =>
        codes.send(trx, actor, {
          purpose: 'sign_up',
          template: isExisting ? 'sign_up_existing' : isUninvited ? 'sign_up_uninvited' : 'sign_up',
          address: email,
          userId: user?.id,
          binding,
          locale,
          // Elsewhere there is nothing to go on with: the password belongs to who asked.
          ...(interactionUid === undefined ? {} : { url }),
          context: { locale },
          decoy: isExisting || isUninvited ? 'mailed' : undefined,
        }),
      );
      return sent.ok ? sent : { ...sent, reason: 'throttled' };
    },

    /** Judges the code; then `complete` may follow within a quarter of an hour. */
    check: (actor: Actor, { binding, code }: { binding: string; code: string }) =>
      codes.check(actor, { purpose: 'sign_up', binding, code }),

    /** The same by the link of the mail, in the browser that asked for it. @returns whether it was right */
    async checkLink(actor: Actor, { binding, token }: { binding: string; token: string }): Promise<boolean> {
      return (await codes.proveLink(actor.tenantId, 'sign_up', binding, token)) !== undefined;
    },

    /**
     * Makes the account, active and with its address verified, once for each proof.
     * @param account.claims of the profile, OpenID Connect Core §5.1 names
     * @throws {AppError} `sign_up.not_proved` (410), `sign_up.existing`; `password.unacceptable` and
     *   `user.claims_invalid`, which leave the proof as it was; `password.busy`
     */
    async complete(
      actor: Actor,
      binding: string,
      account: { password: string; claims: Readonly<Record<string, unknown>> },
    ): Promise<User> {
      const { password, claims } = account;
      const open = await codes.findProved(actor.tenantId, 'sign_up', binding);
      if (!open) throw signUpError('not_proved');
      // Takes its time, during which nothing must be locked.
      const invited = await pendingAt(usersOn(db), open.address);
      const stored = invited
        ? await usersOn(db).preparePassword(actor, invited.id, password)
        : await usersOn(db).prepareFirstPassword(actor, { email: open.address, password, claims });

      return db.transaction(async (trx) => {
        const proved = await codes.consumeProved(trx, actor.tenantId, 'sign_up', binding);
        if (proved?.address !== open.address) throw signUpError('not_proved');
        const users = usersOn(trx);
        const pending = await pendingAt(users, proved.address);
        const user = pending
          ? await accept(users, pending)
          : await users.create(actor, {
              email: proved.address,
              emailVerified: true,
              password: stored,
              claims,
            });
        await recordEvent(trx, { ...actor, type: 'user', id: user.id }, 'user.signed_up', {
          target: { type: 'user', id: user.id },
        });
        return user;
      });

      async function pendingAt(users: Users, address: string): Promise<User | undefined> {
        const user = await users.findByEmail(actor, address);
        if (user && user.status !== 'pending') throw signUpError('existing');
        return user;
      }

      async function accept(users: Users, { id }: User): Promise<User> {
        const owner: Actor = { ...actor, type: 'user', id };
        await users.storePassword(owner, id, stored);
        await users.update(owner, id, { claims });
        return users.confirmEmail(owner, id);
      }
    },
  };
}

function domainOf(email: string): string {
  return email.slice(email.lastIndexOf('@') + 1).toLowerCase();
}
