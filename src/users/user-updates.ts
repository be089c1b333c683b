import { isDeepStrictEqual } from 'node:util';
import { isUniqueViolation } from '../db/database-errors.ts';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import { isSelf } from '../http/actor.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import type { TellOwner } from './owner-notices.ts';
import type { User } from './user.ts';
import { userChanges } from './user-changes.ts';
import type { UserProfile } from './user-claims.ts';
import { userError } from './user-errors.ts';
import { acceptableClaims, acceptableEmail } from './user-input.ts';
import { userStore } from './user-store.ts';

/** What is left out stays; a claim that is `null` is removed. */
export interface UserPatch {
  /** A new address counts as unverified unless `emailVerified` says otherwise. */
  email?: string | undefined;
  emailVerified?: boolean | undefined;
  claims?: Readonly<Record<string, unknown>> | undefined;
}

export interface UserWithProfile {
  user: User;
  profile: UserProfile;
}

/** Changes of who somebody says they are; states and passwords have rules of their own. */
export function createUserUpdates({ db, now, tellOwner }: { db: Db; now: Clock; tellOwner: TellOwner }) {
  const change = userChanges(db);

  return {
    /**
     * Who did not do it themselves is told of another address, at the former one.
     * @param checkCurrent sees the user as they are, under the lock, and may refuse by throwing
     * @throws {AppError} `user.not_found`, `user.email_invalid`, `user.email_taken`, `user.claims_invalid`
     */
    async update(
      actor: Actor,
      id: string,
      patch: UserPatch,
      checkCurrent: (current: UserWithProfile) => void = () => {},
    ): Promise<UserWithProfile> {
      const email = patch.email === undefined ? undefined : acceptableEmail(patch.email);
      try {
        return await change(actor, id, async (trx) => {
          const users = userStore(trx, actor.tenantId);
          const before = await users.findWithProfile(id);
          if (!before) throw userError('not_found');
          checkCurrent(before);

          const claims = patch.claims && mergeClaims(before.profile.claims, patch.claims);
          const changed = changedNames(before, { ...patch, email, claims });
          if (changed.length === 0) return before;
          const at = now();
          const isMoved = changed.includes('email');
          const isVerified = patch.emailVerified ?? (isMoved ? false : before.user.emailVerifiedAt !== null);
          const emailVerifiedAt = isVerified ? (isMoved ? at : (before.user.emailVerifiedAt ?? at)) : null;
          await users.update(id, { email, emailVerifiedAt, claims }, at);
          await recordEvent(trx, actor, 'user.updated', {
            target: { type: 'user', id },
            // Names only: the audit trail outlives the person's data.
            data: { changed },
          });
          if (isMoved && email !== undefined && !isSelf(actor, id)) {
            await tellOwner(trx, actor.tenantId, {
              recipient: before.user.email,
              template: 'email_changed_for_you',
              address: email,
              savedLocale: before.profile.claims.locale,
            });
          }
          return {
            user: { ...before.user, email: email ?? before.user.email, emailVerifiedAt, updatedAt: at },
            profile: claims ? { claims, updatedAt: at } : before.profile,
          };
        });
      } catch (err) {
        if (!isUniqueViolation(err, 'users_tenant_id_email_key')) throw err;
        const errors = [{ path: '/email', message: 'Another user already has this e-mail address.' }];
        throw userError('email_taken', { cause: err, errors });
      }
    },
  };
}

function mergeClaims(before: object, patch: Readonly<Record<string, unknown>>) {
  const merged = Object.entries({ ...before, ...patch }).filter(([, value]) => value !== null);
  return acceptableClaims(Object.fromEntries(merged));
}

function changedNames(
  { user, profile }: UserWithProfile,
  patch: { email: string | undefined; emailVerified?: boolean | undefined; claims: object | undefined },
): string[] {
  const changed: string[] = [];
  if (patch.email !== undefined && patch.email !== user.email) changed.push('email');
  if (patch.emailVerified !== undefined && patch.emailVerified !== (user.emailVerifiedAt !== null))
    changed.push('emailVerified');
  const before = new Map<string, unknown>(Object.entries(profile.claims));
  const after = new Map<string, unknown>(Object.entries(patch.claims ?? profile.claims));
  for (const name of new Set([...before.keys(), ...after.keys()]))
    if (!isDeepStrictEqual(before.get(name), after.get(name))) changed.push(`claims.${name}`);
  return changed;
}
