import type { Actor } from '../../http/actor.ts';
import { AppError } from '../../lib/errors.ts';
import { isId } from '../../lib/ids.ts';
import type { Services } from '../../services.ts';
import type { User } from '../../users/user.ts';

export function userJson(user: User) {
  return {
    id: user.id,
    email: user.email,
    email_verified: user.emailVerifiedAt !== null,
    status: user.status,
    lock_cause: user.lockCause,
    locked_until: user.lockedUntil,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
  };
}

export const USER_ARGUMENT = ['<user>', 'id or e-mail address'] as const;

/** @throws {AppError} `user.not_found` */
export async function findUser({ users }: Services, actor: Actor, reference: string): Promise<User> {
  if (isId(reference)) return users.get(actor, reference);
  const user = await users.findByEmail(actor, reference);
  if (!user) throw new AppError('user.not_found', 404, 'There is no such user.');
  return user;
}
