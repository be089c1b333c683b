import type { SignInAttempts } from '../attempts/sign-in-attempts.ts';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { Links } from '../one-time-codes/links.ts';
import type { CodeRefusal } from '../one-time-codes/one-time-code.ts';
import type { OneTimeCodes, SendOutcome } from '../one-time-codes/one-time-codes.ts';
import type { User } from '../users/user.ts';
import type { UserService } from '../users/user-service.ts';
import { mayRecover } from './may-recover.ts';

/**
 * Signing in with a code from the mail instead of a password. It is one factor, as the password is. It proves as
 * much as the link that opens a locked account, so it opens it as well.
 */
export type SignInCode = ReturnType<typeof createSignInCode>;

export type SignInCodeOutcome =
  | { ok: true; user: User }
  | { ok: false; reason: CodeRefusal }
  /** Too many failures at this account, by code or password: nothing was judged. */
  | { ok: false; reason: 'throttled'; retryAfterSeconds: number };

export interface SignInCodeDeps {
  db: Db;
  codes: OneTimeCodes;
  links: Links;
  attempts: Pick<SignInAttempts, 'begin'>;
  usersOn: (db: Db) => Pick<UserService, 'findByEmail' | 'confirmEmail' | 'unlock'>;
}

export function createSignInCode({ db, codes, links, attempts, usersOn }: SignInCodeDeps) {
  /** Uses up the proof. @returns undefined where it is nobody's who may sign in */
  async function complete(actor: Actor, binding: string): Promise<User | undefined> {
    return db.transaction(async (trx) => {
      const proved = await codes.consumeProved(trx, actor.tenantId, 'sign_in', binding);
      if (proved?.userId === undefined) return undefined;
      const users = usersOn(trx);
      const user = await users.findByEmail(actor, proved.address);
      // Since the mail was sent the address can have changed hands, and the account can have been deleted.
      if (user?.id !== proved.userId || !mayRecover(user)) {
        await recordEvent(trx, actor, 'user.login_failed', {
          target: { type: 'user', id: proved.userId },
          reason: user?.id === proved.userId ? `user_${user.status}` : 'unknown_user',
        });
        return undefined;
      }
      const owner: Actor = { ...actor, type: 'user', id: user.id };
      if (user.status === 'locked') await users.unlock(owner, user.id, { reason: 'mail' });
      return users.confirmEmail(owner, user.id);
    });
  }

  return {
    /** As `PasswordReset.start`. */
    async start(
      actor: Actor,
      request: { email: string; binding: string; locale: string; interactionUid?: string | undefined },
    ): Promise<SendOutcome> {
      const { email, binding, locale, interactionUid } = request;
      const user = await usersOn(db).findByEmail(actor, email);
      const url = await links.of(actor.tenantId, interactionUid);
      return db.transaction((trx) =>
        codes.send(trx, actor, {
          purpose: 'sign_in',
          template: 'sign_in_code',
          address: user?.email ?? email,
          userId: user?.id,
          binding,
          locale,
          url,
          context: { locale },
          decoy: user && mayRecover(user) ? undefined : 'withheld',
        }),
      );
    },

    /**
     * Judges the code and uses it up. Failures count with those of the password, before they are judged.
     * `user.login` is recorded by whoever makes a session of it.
     * @param request.email as it was given to `start`
     */
    async verify(
      actor: Actor,
      request: { email: string; binding: string; code: string; isKnownBrowser?: boolean },
    ): Promise<SignInCodeOutcome> {
      const { email, binding, code, isKnownBrowser = false } = request;
      const attempt = await attempts.begin(actor.tenantId, { email, ip: actor.ip, isKnownBrowser });
      if (!attempt.ok) return { ...attempt, reason: 'throttled' };

      const checked = await codes.check(actor, { purpose: 'sign_in', binding, code });
      const user = checked.ok ? await complete(actor, binding) : undefined;
      if (!checked.ok && checked.reason === 'spent') {
        // There was nothing to guess at.
        await attempt.withdraw();
        return checked;
      }
      if (!user) {
        const account = await usersOn(db).findByEmail(actor, email);
        await attempt.failed(actor, account?.id);
        return checked.ok ? { ok: false, reason: 'wrong' } : checked;
      }
      await attempt.succeeded();
      return { ok: true, user };
    },

    /** The same by the link of the mail, in the browser that asked for it: it cannot be guessed, so nothing is counted. */
    async verifyLink(actor: Actor, { binding, token }: { binding: string; token: string }) {
      const proved = await codes.proveLink(actor.tenantId, 'sign_in', binding, token);
      return proved && complete(actor, binding);
    },
  };
}
