import type { User } from '../users/user.ts';

/** Who was locked for too many failures proves by a mail that they are not who failed. */
export function mayRecover({ status, lockCause }: Pick<User, 'status' | 'lockCause'>): boolean {
  return status === 'active' || (status === 'locked' && lockCause === 'guessing');
}
