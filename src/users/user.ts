/** Where in its life a user is. Only `active` users sign in anywhere. */
export type UserStatus = 'pending' | 'active' | 'locked' | 'disabled' | 'deleted';

/**
 * `guessing`: too many failures. It keeps strangers out and takes nothing from the person, who might not even have
 * failed. `administrator`: everything has ended until somebody unlocks the account.
 */
export type LockCause = 'guessing' | 'administrator';

export interface User {
  id: string;
  tenantId: string;
  status: UserStatus;
  /** Of a locked user. */
  lockCause: LockCause | null;
  /** When a lock ends by itself. */
  lockedUntil: Date | null;
  /** As the person typed it; compared without regard to case. */
  email: string;
  emailVerifiedAt: Date | null;
  /** Of a proof of who they are: it counts until another one is reached. */
  accessVersion: number;
  createdAt: Date;
  updatedAt: Date;
}

const TRANSITIONS: Readonly<Record<UserStatus, readonly UserStatus[]>> = {
  // Made, but not yet confirmed by the person.
  pending: ['active', 'disabled', 'deleted'],
  active: ['locked', 'disabled', 'deleted'],
  // For a time, by too many failed attempts or by an administrator.
  locked: ['active', 'disabled', 'deleted'],
  // By an administrator's decision, so only one lifts it.
  disabled: ['active', 'deleted'],
  // Until it is erased. Whoever comes back is looked at by an administrator first.
  deleted: ['disabled'],
};

export function canBecome(from: UserStatus, to: UserStatus): boolean {
  return TRANSITIONS[from].includes(to);
}

/**
 * Whether what the user was given before (sessions, grants, tokens) still holds. Strangers who guess must not be able to
 * sign anybody out, so a lock of theirs leaves it alone.
 */
export function keepsAccess({ status, lockCause }: Pick<User, 'status' | 'lockCause'>): boolean {
  return status === 'active' || (status === 'locked' && lockCause === 'guessing');
}
