import type { Knex } from 'knex';
import { isUniqueViolation } from '../db/database-errors.ts';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { EventType } from '../events/event-types.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { defineErrors } from '../lib/errors.ts';
import { isId, newId } from '../lib/ids.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import { parseEmail } from './email-address.ts';
import type { PasswordHasher } from './password-hasher.ts';
import type { PasswordPolicy } from './password-policy.ts';
import { passwordStore } from './password-store.ts';
import { canBecome } from './user.ts';
import type { User, UserStatus } from './user.ts';
import { profileClaimsSchema } from './user-claims.ts';
import type { ProfileClaims } from './user-claims.ts';
import { userStore } from './user-store.ts';

/**
 * People: who exists in a tenant, in which state, with which password. Signing in, roles, consents and sessions belong to
 * others; what must end with a user's access is ended by the `revokeAccess` that is passed in.
 */

const MAX_PAGE = 200;

const fail = defineErrors('user', {
  not_found: { status: 404, message: 'There is no such user.' },
  email_taken: { status: 409, message: 'Another user already has this e-mail address.' },
  email_invalid: { status: 400, message: 'This e-mail address cannot be used.' },
  claims_invalid: { status: 400, message: 'The profile has a field that cannot be stored.' },
  invalid_transition: { status: 409, message: 'The user is in a state that does not allow this.' },
  invalid_cursor: { status: 400, message: 'The page marker is not one this list gave out.' },
});

export interface NewUser {
  email: string;
  /** Without one the user exists but cannot sign in with a password. */
  password?: string | undefined;
  emailVerified?: boolean | undefined;
  /** OpenID Connect Core §5.1 names; checked against `profileClaimsSchema`. */
  claims?: Readonly<Record<string, unknown>> | undefined;
  /** `pending`: cannot sign in before being enabled. Default: `active`. */
  status?: 'pending' | 'active' | undefined;
}

/**
 * @param db a pool or a transaction; every change and its event commit together
 * @param revokeAccess ends the user's sessions and grants within the transaction it is given
 */
export function createUserService({
  db,
  now,
  hasher,
  passwordPolicy,
  revokeAccess,
}: {
  db: Db;
  now: Clock;
  hasher: PasswordHasher;
  passwordPolicy: PasswordPolicy;
  revokeAccess: (trx: Db, tenantId: string, userId: string) => Promise<void>;
}) {
  /** @throws {AppError} `password.unacceptable` */
  async function hashAcceptable(actor: Actor, email: string, password: string) {
    const tenant = await tenantStore(db).find(actor.tenantId);
    passwordPolicy.check(password, { email, tenantName: tenant?.name });
    return hasher.hash(password);
  }

  async function getOne(actor: Actor, id: string): Promise<User> {
    const user = await userStore(db, actor.tenantId).find(id);
    if (!user) throw fail('not_found');
    return user;
  }

  /** One user at a time, so that of two changes at once the second sees what the first made. */
  function change<Result>(
    actor: Actor,
    id: string,
    work: (trx: Knex.Transaction, user: User) => Promise<Result>,
  ) {
    return db.transaction(async (trx) => {
      const user = await userStore(trx, actor.tenantId).findForUpdate(id);
      if (!user) throw fail('not_found');
      return work(trx, user);
    });
  }

  function changeStatus(
    actor: Actor,
    id: string,
    status: UserStatus,
    { type, reason, onChange }: StatusChange,
  ): Promise<User> {
    return change(actor, id, async (trx, user) => {
      if (user.status === status) return user;
      if (!canBecome(user.status, status)) {
        throw fail('invalid_transition', {
          message: `A user who is ${user.status} cannot become ${status}.`,
        });
      }
      const at = now();
      await userStore(trx, actor.tenantId).setStatus(id, status, at);
      await onChange?.(trx);
      await recordEvent(trx, actor, type, {
        target: { type: 'user', id },
        ...(reason === undefined ? {} : { reason }),
        data: { before: { status: user.status }, after: { status } },
      });
      return { ...user, status, updatedAt: at };
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
        input.password === undefined ? undefined : await hashAcceptable(actor, email, input.password);
      const at = now();
      const user: User = {
        id: newId(at),
        tenantId: actor.tenantId,
        status: input.status ?? 'active',
        email,
        emailVerifiedAt: input.emailVerified ? at : null,
        createdAt: at,
        updatedAt: at,
      };

      try {
        await db.transaction(async (trx) => {
          await userStore(trx, actor.tenantId).insert(user, claims);
          if (password) await passwordStore(trx, actor.tenantId).set(user.id, password, at);
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
        throw fail('email_taken', { cause: err, errors });
      }
      return user;
    },

    /** @throws {AppError} `user.not_found`, also for a deleted user, one of another tenant, and text that is no id */
    get: getOne,

    /** The user with the stored claims of the profile. @throws {AppError} `user.not_found` */
    async getWithProfile(actor: Actor, id: string) {
      const found = await userStore(db, actor.tenantId).findWithProfile(id);
      if (!found) throw fail('not_found');
      return found;
    },

    async findByEmail(actor: Actor, email: string): Promise<User | undefined> {
      const address = parseEmail(email);
      return address === undefined ? undefined : userStore(db, actor.tenantId).findByEmail(address);
    },

    /**
     * In the order they were made, without the deleted ones.
     * @param page `after` is the id of the last user already seen; at most 200 at a time
     * @throws {AppError} `user.invalid_cursor`
     */
    async list(
      actor: Actor,
      { after, limit }: { after?: string | undefined; limit: number },
    ): Promise<User[]> {
      if (after !== undefined && !isId(after)) throw fail('invalid_cursor');
      return userStore(db, actor.tenantId).list({ after, limit: Math.min(Math.max(1, limit), MAX_PAGE) });
    },

    /**
     * Sets the password and ends all access gained with the old one.
     * @throws {AppError} `user.not_found`, `password.unacceptable`, `password.busy`
     */
    async setPassword(actor: Actor, id: string, password: string): Promise<void> {
      const { email } = await getOne(actor, id);
      const stored = await hashAcceptable(actor, email, password);
      await change(actor, id, async (trx) => {
        const passwords = passwordStore(trx, actor.tenantId);
        const hadPassword = await passwords.exists(id);
        await passwords.set(id, stored, now());
        await revokeAccess(trx, actor.tenantId, id);
        await recordEvent(trx, actor, 'user.password_changed', {
          target: { type: 'user', id },
          data: { before: { hasPassword: hadPassword }, after: { hasPassword: true } },
        });
      });
    },

    /**
     * Ends all access and refuses any more. A user who is disabled already stays so.
     * @throws {AppError} `user.not_found`
     */
    disable: (actor: Actor, id: string, { reason }: { reason?: string | undefined } = {}): Promise<User> =>
      changeStatus(actor, id, 'disabled', {
        type: 'user.disabled',
        reason,
        onChange: (trx) => revokeAccess(trx, actor.tenantId, id),
      }),

    /** Lets a disabled, locked or pending user sign in. @throws {AppError} `user.not_found` */
    enable: (actor: Actor, id: string): Promise<User> =>
      changeStatus(actor, id, 'active', { type: 'user.enabled' }),

    /**
     * Ends all access, erases password and profile and frees the e-mail address for somebody else. The row stays for the
     * audit trail to refer to; the id is never used again.
     * @throws {AppError} `user.not_found`
     */
    async delete(actor: Actor, id: string): Promise<void> {
      await changeStatus(actor, id, 'deleted', {
        type: 'user.deleted',
        onChange: async (trx) => {
          await passwordStore(trx, actor.tenantId).remove(id);
          await userStore(trx, actor.tenantId).removeProfile(id);
          await revokeAccess(trx, actor.tenantId, id);
        },
      });
    },
  };
}

interface StatusChange {
  type: EventType;
  reason?: string | undefined;
  onChange?: (trx: Db) => Promise<void>;
}

function acceptableEmail(text: string): string {
  const email = parseEmail(text);
  if (email !== undefined) return email;
  const message = 'Enter an e-mail address, such as ana@example.com.';
  throw fail('email_invalid', { errors: [{ path: '/email', message }] });
}

function acceptableClaims(claims: Readonly<Record<string, unknown>>): ProfileClaims {
  const parsed = profileClaimsSchema.safeParse(claims);
  if (parsed.success) return parsed.data;
  throw fail('claims_invalid', {
    errors: parsed.error.issues.map(({ path, message }) => ({
      path: `/claims${path.map((part) => `/${String(part)}`).join('')}`,
      message,
    })),
  });
}
