import { isUniqueViolation } from '../db/database-errors.ts';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { isId, newId } from '../lib/ids.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import { parseEmail } from './email-address.ts';
import type { PasswordHasher, StoredPassword } from './password-hasher.ts';
import type { PasswordOwner, PasswordPolicy } from './password-policy.ts';
import type { TellOwner } from './owner-notices.ts';
import { passwordStore } from './password-store.ts';
import type { User } from './user.ts';
import { userChanges } from './user-changes.ts';
import { namesIn } from './user-claims.ts';
import { createUserEmails } from './user-emails.ts';
import { userError } from './user-errors.ts';
import { acceptableClaims, acceptableEmail } from './user-input.ts';
import { createUserLifeCycle } from './user-life-cycle.ts';
import type { LifeCycleDeps } from './user-life-cycle.ts';
import { userStore } from './user-store.ts';
import type { UserFilter } from './user-store.ts';
import { createUserUpdates } from './user-updates.ts';

/**
 * People: who exists in a tenant, in which state, with which password. Signing in, roles, consents and sessions belong to
 * others; what must end with a user's access is ended by the `revokeAccess` that is passed in.
 */

/** A page of the API, and one more to know whether there is another. */
const MAX_PAGE = 201;

export interface NewUser {
  email: string;
  /** As typed, or prepared. Without one the user exists but cannot sign in with a password. */
  password?: string | StoredPassword | undefined;
  /** Somebody else chose the password: it lasts until the person chooses one. */
  isTemporaryPassword?: boolean | undefined;
  emailVerified?: boolean | undefined;
  /** OpenID Connect Core §5.1 names; checked against `profileClaimsSchema`. */
  claims?: Readonly<Record<string, unknown>> | undefined;
  /** `pending`: cannot sign in before being enabled. Default: `active`. */
  status?: 'pending' | 'active' | undefined;
}

export type UserService = ReturnType<typeof createUserService>;

/**
 * @param db a pool or a transaction; every change and its event commit together
 * @param deps.revokeAccess and `forgetFailures`: see `createUserLifeCycle`; `tellOwner`: see owner-notices.ts
 */
export function createUserService({
  db,
  now,
  hasher,
  passwordPolicy,
  revokeAccess,
  forgetFailures,
  tellOwner,
}: {
  db: Db;
  now: Clock;
  hasher: PasswordHasher;
  passwordPolicy: PasswordPolicy;
  tellOwner: TellOwner;
} & LifeCycleDeps) {
  /** @throws {AppError} `password.unacceptable` */
  async function hashAcceptable(actor: Actor, password: string, owner: PasswordOwner) {
    const tenant = await tenantStore(db).find(actor.tenantId);
    await passwordPolicy.check(password, { ...owner, tenantName: tenant?.name });
    return hasher.hash(password);
  }

  async function getOne(actor: Actor, id: string): Promise<User> {
    const user = await userStore(db, actor.tenantId).find(id);
    if (!user) throw userError('not_found');
    return user;
  }

  const change = userChanges(db);

  /**
   * Judges and hashes a user's new password, which takes its time: not for within a transaction.
   * @throws {AppError} `user.not_found`, `password.unacceptable`, `password.busy`
   */
  async function preparePassword(
    actor: Actor,
    id: string,
    password: string,
    { hasSecondFactor = false }: { hasSecondFactor?: boolean } = {},
  ): Promise<StoredPassword> {
    const found = await userStore(db, actor.tenantId).findWithProfile(id);
    if (!found) throw userError('not_found');
    return hashAcceptable(actor, password, {
      email: found.user.email,
      names: namesIn(found.profile.claims),
      hasSecondFactor,
    });
  }

  /**
   * The same for somebody who is still to be made, by `create`.
   * @throws {AppError} `user.email_invalid`, `user.claims_invalid`, `password.unacceptable`, `password.busy`
   */
  async function prepareFirstPassword(
    actor: Actor,
    input: { email: string; password: string; claims: Readonly<Record<string, unknown>> },
  ): Promise<StoredPassword> {
    const owner = { email: acceptableEmail(input.email), names: namesIn(acceptableClaims(input.claims)) };
    return hashAcceptable(actor, input.password, owner);
  }

  /** The second half of `setPassword`. @throws {AppError} `user.not_found` */
  function storePassword(
    actor: Actor,
    id: string,
    stored: StoredPassword,
    { keepsAccess = false, isTemporary = false }: { keepsAccess?: boolean; isTemporary?: boolean } = {},
  ): Promise<void> {
    return change(actor, id, async (trx, { email }) => {
      const passwords = passwordStore(trx, actor.tenantId);
      const hadPassword = await passwords.exists(id);
      await passwords.set(id, stored, now(), { isTemporary });
      // Sessions may go on, but who proved to know the old one and has none yet gets none.
      if (keepsAccess) await userStore(trx, actor.tenantId).outdateProofs(id);
      else await revokeAccess(trx, actor.tenantId, id);
      await recordEvent(trx, actor, 'user.password_changed', {
        target: { type: 'user', id },
        data: {
          before: { hasPassword: hadPassword },
          after: { hasPassword: true, ...(isTemporary ? { isTemporary } : {}) },
        },
      });
      if (isTemporary) {
        const notice = { recipient: email, template: 'password_set_for_you', address: email } as const;
        await tellOwner(trx, actor.tenantId, notice);
      }
    });
  }

  return {
    /**
     * @throws {AppError} `user.email_invalid`, `user.email_taken`, `user.claims_invalid`, `password.unacceptable`,
     *   `password.busy`
     */
    async create(actor: Actor, input: NewUser): Promise<User> {
      const email = acceptableEmail(input.email);
      const claims = acceptableClaims(input.claims ?? {});
      const password =
        typeof input.password === 'string'
          ? await hashAcceptable(actor, input.password, { email, names: namesIn(claims) })
          : input.password;
      const at = now();
      const user: User = {
        id: newId(at),
        tenantId: actor.tenantId,
        status: input.status ?? 'active',
        lockCause: null,
        lockedUntil: null,
        email,
        emailVerifiedAt: input.emailVerified ? at : null,
        accessVersion: 0,
        createdAt: at,
        updatedAt: at,
      };

      try {
        await db.transaction(async (trx) => {
          await userStore(trx, actor.tenantId).insert(user, claims);
          if (password) {
            const { isTemporaryPassword: isTemporary } = input;
            await passwordStore(trx, actor.tenantId).set(user.id, password, at, { isTemporary });
          }
          await recordEvent(trx, actor, 'user.created', {
            target: { type: 'user', id: user.id },
            // The audit trail outlives the person's data, so it refers to the user and repeats nothing personal.
            data: {
              after: {
                status: user.status,
                emailVerified: user.emailVerifiedAt !== null,
                hasPassword: password !== undefined,
                claims: Object.keys(claims),
              },
            },
          });
        });
      } catch (err) {
        if (!isUniqueViolation(err, 'users_tenant_id_email_key')) throw err;
        const errors = [{ path: '/email', message: 'Another user already has this e-mail address.' }];
        throw userError('email_taken', { cause: err, errors });
      }
      return user;
    },

    /** @throws {AppError} `user.not_found`, also for a deleted user, one of another tenant, and text that is no id */
    get: getOne,

    /** The user with the stored claims of the profile. @throws {AppError} `user.not_found` */
    async getWithProfile(actor: Actor, id: string) {
      const found = await userStore(db, actor.tenantId).findWithProfile(id);
      if (!found) throw userError('not_found');
      return found;
    },

    async findByEmail(actor: Actor, email: string): Promise<User | undefined> {
      const address = parseEmail(email);
      return address === undefined ? undefined : userStore(db, actor.tenantId).findByEmail(address);
    },

    /**
     * In the order they were made, without the deleted ones.
     * @param page `after` is the id of the last user already seen; at most 201 at a time
     * @throws {AppError} `user.invalid_cursor`
     */
    async list(
      actor: Actor,
      { after, limit }: { after?: string | undefined; limit: number },
      filter: UserFilter = {},
    ): Promise<User[]> {
      if (after !== undefined && !isId(after)) throw userError('invalid_cursor');
      const page = { after, limit: Math.min(Math.max(1, limit), MAX_PAGE) };
      return userStore(db, actor.tenantId).list(page, filter);
    },

    preparePassword,
    prepareFirstPassword,
    storePassword,

    /**
     * Sets the password and ends all access gained with the old one, unless the person chose to keep it. Of a
     * temporary one they are told.
     * @param options.hasSecondFactor whether a shorter password will do
     * @param options.isTemporary whether it is good for choosing another one alone
     * @throws {AppError} `user.not_found`, `password.unacceptable`, `password.busy`
     */
    async setPassword(
      actor: Actor,
      id: string,
      password: string,
      options: { hasSecondFactor?: boolean; keepsAccess?: boolean; isTemporary?: boolean } = {},
    ): Promise<void> {
      const stored = await preparePassword(actor, id, password, options);
      await storePassword(actor, id, stored, options);
    },

    ...createUserEmails({ db, now }),
    ...createUserUpdates({ db, now, tellOwner }),
    ...createUserLifeCycle({ db, now, revokeAccess, forgetFailures }),
  };
}
