/** Where in its life a user is. Only `active` users sign in. */
export type UserStatus = 'pending' | 'active' | 'locked' | 'disabled' | 'deleted';

export interface User {
  id: string;
  tenantId: string;
  status: UserStatus;
  /** As the person typed it; compared without regard to case. */
  email: string;
  emailVerifiedAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

const TRANSITIONS: Readonly<Record<UserStatus, readonly UserStatus[]>> = {
  // Made, but not yet confirmed by the person.
  pending: ['active', 'disabled', 'deleted'],
  active: ['locked', 'disabled', 'deleted'],
  // Too many failed attempts.
  locked: ['active', 'disabled', 'deleted'],
  // By an administrator's decision, so only one lifts it.
  disabled: ['active', 'deleted'],
  deleted: [],
};

export function canBecome(from: UserStatus, to: UserStatus): boolean {
  return TRANSITIONS[from].includes(to);
}
